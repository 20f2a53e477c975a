"""`podctl ssh`: opens a shell on the pod of a run, by OpenSSH if it is installed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click

from controller.cli.names import subject_names
from controller.cli.options import current_project, provider_of
from controller.credentials.secret import for_children
from controller.errors import NotFound
from controller.project.project import Project
from controller.terminal.terminal import Terminal

if TYPE_CHECKING:
    from controller.providers.base import Endpoint
    from controller.ssh.session import Session
    from controller.status.target import Target

OPTIONS = "controller.cli.ssh.options"  # in a context's meta
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
@click.pass_context
def command(ctx: click.Context, name: str | None, print_: bool) -> int | None:
    """Open a shell on the pod of a run (default: the newest unfinished run).

    What follows `--` goes to OpenSSH: `-- -L 8888:localhost:8888`. Plain `ssh` works too, and VS
    Code's Remote-SSH: `podctl ssh-config --install`, then `ssh podctl-stage1c`.
    """
    from controller.project.journal import open_journal
    from controller.status.target import connect, find_target, pod_of

    terminal: Terminal = ctx.obj
    options: list[str] = ctx.meta.get(OPTIONS, [])
    project = current_project()
    target = find_target(open_journal(project), name)
    provider = provider_of(project, terminal)
    pod = pod_of(provider, target)
    with connect(project, provider, pod) as session:  # checks and pins the host key
        endpoint = session.endpoint
        if not print_ and shutil.which("ssh") is None:
            if options:
                raise NotFound(
                    "options of ssh need OpenSSH, which is not installed here",
                    hint="podctl forward forwards ports without it",
                )
            return _without_openssh(terminal, session, target)
    config = _write_config(project, target, endpoint)
    argv = ["ssh", "-F", str(config), *options, f"podctl-{target.stage}"]
    if print_:
        import shlex

        terminal.data(shlex.join(argv))
        return None
    program = shutil.which("ssh") or "ssh"
    terminal.say(f"connected to {pod.id} ({target.run}); {CLOSING}")
    return os.execve(program, argv, for_children())  # noqa: S606 - an argv list, no shell


def _without_openssh(terminal: Terminal, session: Session, target: Target) -> int:
    """Open a shell over podctl's own connection, for a machine without OpenSSH."""
    from controller.cli.exec import check_terminal
    from controller.ssh.console import interact

    check_terminal(terminal)
    terminal.say(
        f"connected to {target.pod} ({target.run}); closing this shell does not stop the job"
    )
    return interact(session, None, None)


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
