"""`podctl ssh`: a shell on the pod of a run, by OpenSSH where there is one, with the pinned key."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click

from controller.cli.options import project_here, provider_of
from controller.credentials.secret import for_children
from controller.project.project import Project
from controller.terminal.terminal import Terminal

if TYPE_CHECKING:
    from controller.providers.base import Endpoint
    from controller.ssh.session import Session
    from controller.status.target import Target


@click.command("ssh")
@click.argument("name", metavar="[STAGE|RUN|POD]", required=False)
@click.option("--print", "print_", is_flag=True, help="Only print the ssh command.")
@click.pass_obj
def command(terminal: Terminal, name: str | None, print_: bool) -> int | None:
    """Open a shell on the pod of a run; the newest unfinished one by default.

    Plain `ssh` works too: put `Include <project>/.podctl/ssh_config` on top of ~/.ssh/config,
    then `ssh podctl-stage1c`.
    """
    from controller.project.journal import open_journal
    from controller.status.target import connect, find_target, pod_of

    project = project_here()
    target = find_target(open_journal(project), name)
    provider = provider_of(project, terminal)
    pod = pod_of(provider, target)
    with connect(project, provider, pod) as session:  # checks and pins the host key
        endpoint = session.endpoint
        if not print_ and shutil.which("ssh") is None:
            return _without_openssh(terminal, session, target)
    config = _write_config(project, target, endpoint)
    argv = ["ssh", "-F", str(config), f"podctl-{target.stage}"]
    if print_:
        import shlex

        terminal.data(shlex.join(argv))
        return None
    program = shutil.which("ssh") or "ssh"
    terminal.say(f"{target.run} on {pod.id}; closing this shell does not stop the job")
    return os.execve(program, argv, for_children())  # noqa: S606 - an argv list, no shell


def _without_openssh(terminal: Terminal, session: Session, target: Target) -> int:
    """A shell over podctl's own connection, on a machine that has no `ssh`."""
    from controller.cli.exec import check_terminal
    from controller.ssh.console import interact

    check_terminal(terminal)
    terminal.say(f"connected to the pod of {target.run}; closing this shell does not stop the job")
    return interact(session, None, None)


def _write_config(project: Project, target: Target, endpoint: Endpoint) -> Path:
    """An ssh_config of this one host: others may be in the shared one, and stay there."""
    from controller.ssh.host_keys import PinnedKeys, SshEntry, write_ssh_config

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
