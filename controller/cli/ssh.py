"""`podctl ssh`: opens a shell on the pod of a run, by OpenSSH if it is installed."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from controller.cli.names import subject_names
from controller.cli.options import open_project, provider_of, yes_option
from controller.credentials.secret import for_children
from controller.errors import NotFound
from controller.project.project import Project
from controller.terminal.terminal import Terminal

if TYPE_CHECKING:
    from controller.providers.base import Endpoint, Pod, Provider
    from controller.status.target import Target

OPTIONS = "controller.cli.ssh.options"  # in a context's meta
SHELL_SECONDS = 24 * 3600.0  # of a shell on a pod that its guard ends long before
SIGNALLED = 128  # our exit code when a signal ended ssh
CLOSING = "closing this shell does not stop the job"


class SshCommand(click.Command):
    """What follows a `--` are options of OpenSSH."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        place = args.index("--") if "--" in args else len(args)
        ctx.meta[OPTIONS] = args[place + 1 :]
        return super().parse_args(ctx, args[:place])

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return [*super().collect_usage_pieces(ctx), "[-- SSH_OPTIONS…]"]


@click.command("ssh", cls=SshCommand)
@click.argument("name", metavar="[STAGE|RUN|POD]", required=False, shell_complete=subject_names)
@click.option("--print", "print_", is_flag=True, help="Print the ssh command and do not run it.")
@yes_option("Start a parked pod without asking; it is parked again afterwards.")
@click.pass_context
def command(ctx: click.Context, name: str | None, print_: bool, yes: bool) -> int | None:
    """Open a shell on the pod of a run (default: the newest unfinished run).

    What follows `--` goes to OpenSSH: `-- -L 8888:localhost:8888`. Plain `ssh` works too, and VS
    Code's Remote-SSH: `podctl ssh-config --install`, then `ssh podctl-stage1c`.

    A parked pod is started after a question that names the worst case, and parked again afterwards.
    """
    from controller.cli.pod_access import is_visit, open_pod
    from controller.project.journal import open_journal
    from controller.status.target import find_target, look_up, pod_of, reachable

    terminal: Terminal = ctx.obj
    options: list[str] = ctx.meta.get(OPTIONS, [])
    project = open_project(terminal)
    target = find_target(open_journal(project), name)
    provider = provider_of(project, terminal)
    openssh = _Shell(project, provider, terminal, target, tuple(options))
    if print_:
        terminal.data(shlex.join(openssh.command_line(pod_of(provider, target))))
        return None
    found = look_up(provider, target)
    if not is_visit(project, target, found):
        return openssh.open(reachable(found, target), stays=False)
    with open_pod(project, provider, target, terminal, "ssh", yes=yes) as pod:
        return openssh.open(pod, stays=True)


@dataclass(frozen=True)
class _Shell:
    """A shell on the pod of `target`; `options` are those of OpenSSH."""

    project: Project
    provider: Provider
    terminal: Terminal
    target: Target
    options: tuple[str, ...]

    def command_line(self, pod: Pod) -> list[str]:
        """The ssh command, after host key and identity of the pod were checked and pinned."""
        from controller.status.target import connect

        with connect(self.project, self.provider, pod) as session:
            config = _write_config(self.project, self.target, session.endpoint)
        return ["ssh", "-F", str(config), *self.options, f"podctl-{self.target.stage}"]

    def open(self, pod: Pod, *, stays: bool) -> int:
        """Open the shell; with `stays` this process goes on after it, else ssh takes its place."""
        if (program := shutil.which("ssh")) is None:
            return self._without_openssh(pod)
        argv = self.command_line(pod)
        closing = "closing this shell parks the pod again" if stays else CLOSING
        self.terminal.say(f"connected to {pod.id} ({self.target.run}); {closing}")
        if not stays:
            return os.execve(program, argv, for_children())  # noqa: S606 - an argv list, no shell
        return _wait_for([program, *argv[1:]])

    def _without_openssh(self, pod: Pod) -> int:
        """Open a shell over podctl's own connection, for a machine without OpenSSH."""
        from controller.cli.exec import check_terminal
        from controller.ssh.console import interact
        from controller.status.target import connect

        if self.options:
            raise NotFound(
                "options of ssh need OpenSSH, which is not installed here",
                hint="podctl forward forwards ports without it",
            )
        check_terminal(self.terminal)
        with connect(self.project, self.provider, pod) as session:
            self.terminal.say(f"connected to {pod.id} ({self.target.run}); {CLOSING}")
            return interact(session, None, None)


def _wait_for(argv: list[str]) -> int:
    """Run ssh to its end; Ctrl-C is for what runs on the pod."""
    process = subprocess.Popen(argv, env=for_children())
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        status = process.wait(SHELL_SECONDS)
    except subprocess.TimeoutExpired:
        status = -signal.SIGTERM
    finally:
        signal.signal(signal.SIGINT, before)
        if process.poll() is None:
            process.terminate()
    return status if status >= 0 else SIGNALLED - status


def _write_config(project: Project, target: Target, endpoint: Endpoint) -> Path:
    """Write an ssh_config for this host alone, beside the project's shared one."""
    from controller.ssh.host_keys import PinnedKeys
    from controller.ssh.ssh_config import SshEntry, write_ssh_config

    path = project.run_dir(target.run) / "ssh_config"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    entry = SshEntry(
        name=f"podctl-{target.stage}",
        endpoint=endpoint,
        alias=PinnedKeys(project.known_hosts, target.pod).alias,
        key_path=project.private_key,
        known_hosts=project.known_hosts,
    )
    write_ssh_config(path, [entry])
    return path
