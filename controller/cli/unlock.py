"""`podctl unlock`: archives a stage's lock, so that the stage can run again."""

from __future__ import annotations

import time

import click

from controller.cli.names import stage_names
from controller.cli.options import current_project
from controller.errors import NotFound, UsageError
from controller.terminal.terminal import Terminal


@click.command("unlock")
@click.argument("stage", shell_complete=stage_names)
@click.option(
    "--reason", required=True, help="The reason; it is recorded in the archived certificate."
)
@click.pass_obj
def command(terminal: Terminal, stage: str, reason: str) -> None:
    """Archive the lock of STAGE and make its artifacts writable again."""
    from controller.locks.artifacts import archive
    from controller.locks.certificate import read, read_all
    from controller.status.write_status_page import refresh_if_possible
    from state.locks import Locks
    from state.project_lock import acquire

    if not reason.strip():
        raise UsageError("--reason is empty", hint=f'podctl unlock {stage} --reason "why"')
    project = current_project()
    project.prepare()
    with acquire(project.state_dir, f"unlock {stage}") as owner:
        locks = Locks(owner.connection, owner.epoch)
        recorded = locks.current(stage)
        certificate = read(project.root, stage)
        if certificate is None and recorded is None:
            raise NotFound(f"{stage} is not locked", hint="podctl locks")
        # The file first: after a crash in between, the same command removes the row that is left.
        if certificate is not None:
            path = archive(project.root, stage, reason, time.time())
            terminal.say(f"archived the certificate as {path.relative_to(project.root)}")
        if recorded is not None:
            locks.unlock(stage, reason)
        refresh_if_possible(project, owner, terminal.warn)
    dependants = [n for n, c in read_all(project.root).items() if stage in c.needs]
    for dependant in dependants:
        terminal.warn(f"{dependant} depends on this lock and remains locked")
    terminal.say(f"next: podctl run {stage}")
