"""`podctl import`: rebuilds the database from the provider, the pods and local files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from controller.cli.options import current_project, json_option, provider_of
from controller.errors import ConnectionLost, NotFound, UsageError
from controller.project.project import Project
from controller.terminal.terminal import Terminal

if TYPE_CHECKING:
    from controller.recovery.context import Recovered


@click.command("import")
@click.option("--from-backup", "source", flag_value="copy", help="Start from the newest backup.")
@click.option("--anew", "source", flag_value="anew", help="Start from an empty database.")
@json_option
@click.pass_obj
def command(terminal: Terminal, source: str | None) -> int:
    """Rebuild runs, ledger and locks when .podctl/state.db is lost, damaged or an old copy.

    The sources are the provider (this project's pods, the bill), the pods themselves, .podctl/runs
    and locks/. No pod is rented or terminated; run podctl sync afterwards. An intact database is
    kept and completed. Without .podctl/id_ed25519 no pod can be read; podctl gc terminates it.
    """
    from controller.providers.clock import provider_clock
    from controller.recovery.context import Recovery
    from controller.recovery.inventory import take_inventory
    from controller.recovery.rebuild import recover
    from controller.status.write_status_page import refresh_if_possible
    from state import rebuild as rescue
    from state.project_lock import acquire

    project = current_project()
    project.prepare()
    prepare = _successor(terminal, project, source)
    provider = provider_of(project, terminal)
    clock = provider_clock(provider, terminal.warn)
    inventory = take_inventory(project, provider, clock.wall())
    with acquire(project.state_dir, "import", prepare=prepare) as owner:
        recovered = recover(Recovery(project, provider, owner, inventory, clock))
        refresh_if_possible(project, owner, terminal.warn)
        if prepare is not None:
            owner.connection.close()
            damaged = rescue.succeed(project.state_dir)
            if damaged is not None:
                terminal.say(f"kept the damaged database: {damaged.relative_to(project.root)}")
    if terminal.json:
        terminal.emit_json("podctl/import/1", recovered)
        return ConnectionLost.exit_code if recovered.unread else 0
    _show(terminal, recovered)
    if recovered.unread:
        raise ConnectionLost(
            f"{', '.join(recovered.unread)} could not be read, so the state of its runs is unknown",
            cause="; ".join(recovered.unread.values()),
            hint="podctl import when the pod responds; or podctl gc to terminate it",
        )
    return 0


def _successor(
    terminal: Terminal, project: Project, source: str | None
) -> Callable[[], Path] | None:
    """How to make the new database; None if the present one is intact and stays."""
    from state import rebuild as rescue
    from state.backups import BACKUPS, backups

    folder = project.state_dir
    damage = rescue.damage(folder)
    if damage is None:
        if source is not None:
            raise UsageError("the database is intact and is not replaced", hint="podctl import")
        return None
    terminal.say(damage.what)
    if source is None and backups(folder / BACKUPS):
        raise UsageError("there are backups, which hold more than can be rebuilt", hint=damage.hint)
    if source != "copy":
        return lambda: rescue.write_empty(folder)

    def newest() -> Path:
        copied = rescue.from_copy(folder)
        if copied is None:
            raise NotFound("no backup is intact", where=BACKUPS, hint="podctl import --anew")
        terminal.say(f"started from {copied[1].relative_to(project.root)}")
        return copied[0]

    return newest


def _show(terminal: Terminal, recovered: Recovered) -> None:
    for pod, runs in recovered.pods.items():
        terminal.say(f"{pod} belongs to {', '.join(runs)}")
    for run, outcome in recovered.runs.items():
        terminal.say(f"{run} has ended: {outcome}")
    for stage in recovered.locks:
        terminal.say(f"{stage} is locked: its artifacts match its certificate")
    if recovered.billed:
        terminal.say(f"recorded from the provider's bill: {', '.join(recovered.billed)}")
    for pod in recovered.empty:
        terminal.warn(
            f"{pod} belongs to this project but has no unfinished run: podctl gc {pod} --terminate"
        )
    for pod, runs in recovered.returned.items():
        terminal.warn(
            f"{pod} exists although {', '.join(runs)} ended as lost with it; their files may be "
            f"only on this pod: podctl gc {pod} --adopt keeps it for a new run"
        )
    for pod in recovered.others:
        terminal.warn(
            f"{pod} was rented with another SSH key and cannot be read without it: "
            f"podctl gc {pod} --terminate terminates it with all of its files"
        )
    for remark in recovered.remarks:
        terminal.warn(remark)
    if recovered.pods:
        terminal.say("next: podctl sync")
