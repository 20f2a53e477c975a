"""`podctl import`: the database again, from what exists without it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from controller.cli.options import json_option, project_here, provider_of
from controller.errors import ConnectionLost, NotFound, UsageError
from controller.project.project import Project
from controller.terminal.terminal import Terminal

if TYPE_CHECKING:
    from controller.recovery.context import Recovered


@click.command("import")
@click.option("--from-backup", "source", flag_value="copy", help="Begin with the newest copy.")
@click.option("--anew", "source", flag_value="anew", help="Begin with an empty database.")
@json_option
@click.pass_obj
def command(terminal: Terminal, source: str | None) -> int:
    """Rebuild runs, ledger and locks when .podctl/state.db is lost, damaged or an old copy.

    Asked are the provider (pods with our marks, its bill), .podctl/runs, the pods themselves, and
    locks/. Nothing is rented or ended; podctl sync then carries on. A sound database is kept, and
    gets what it lacks. Without .podctl/id_ed25519 no pod can be read: podctl gc ends it.
    """
    from controller.providers.clock import provider_clock
    from controller.recovery.context import Recovery
    from controller.recovery.inventory import look
    from controller.recovery.rebuild import recover
    from controller.status.write_status_page import refresh_if_possible
    from state import rebuild as rescue
    from state.project_lock import acquire

    project = project_here()
    project.prepare()
    prepare = _successor(terminal, project, source)
    provider = provider_of(project, terminal)
    clock = provider_clock(provider, terminal.warn)
    remains = look(project, provider, clock.wall())
    with acquire(project.state_dir, "import", prepare=prepare) as owner:
        found = recover(Recovery(project, provider, owner, remains, clock))
        refresh_if_possible(project, owner, terminal.warn)
        if prepare is not None:
            owner.connection.close()
            kept = rescue.succeed(project.state_dir)
            if kept is not None:
                terminal.say(f"the damaged database is kept: {kept.relative_to(project.root)}")
    if terminal.json:
        terminal.emit_json("podctl/import/1", found)
        return ConnectionLost.exit_code if found.unread else 0
    _tell(terminal, found)
    if found.unread:
        raise ConnectionLost(
            f"{', '.join(found.unread)} could not be read: what runs there is not known yet",
            cause="; ".join(found.unread.values()),
            hint="podctl import, once it answers; or podctl gc to end it",
        )
    return 0


def _successor(
    terminal: Terminal, project: Project, source: str | None
) -> Callable[[], Path] | None:
    """Where the database is to come from; None: the present one is sound and stays."""
    from state import rebuild as rescue
    from state.database import BACKUPS, backups

    folder = project.state_dir
    found = rescue.damage(folder)
    if found is None:
        if source is not None:
            raise UsageError("the database is sound: it is not replaced", hint="podctl import")
        return None
    terminal.say(found.what)
    if source is None and backups(folder / BACKUPS):
        raise UsageError("there are copies, which know more than can be found out", hint=found.hint)
    if source != "copy":
        return lambda: rescue.anew(folder)

    def newest() -> Path:
        begun = rescue.from_copy(folder)
        if begun is None:
            raise NotFound("no copy is sound", where=BACKUPS, hint="podctl import --anew")
        terminal.say(f"begun with {begun[1].relative_to(project.root)}")
        return begun[0]

    return newest


def _tell(terminal: Terminal, found: Recovered) -> None:
    for pod, runs in found.pods.items():
        terminal.say(f"{pod} works for {', '.join(runs)}")
    for run, outcome in found.runs.items():
        terminal.say(f"{run} is over: {outcome}")
    for stage in found.locks:
        terminal.say(f"{stage} is locked: its certificate is here and its artifacts agree with it")
    if found.billed:
        terminal.say(f"booked by the provider's bill: {', '.join(found.billed)}")
    for pod in found.empty:
        terminal.warn(f"{pod} is ours and has no unfinished run: podctl gc {pod} --terminate")
    for pod, runs in found.returned.items():
        terminal.warn(
            f"{pod} is there although {', '.join(runs)} ended as lost with it: what they wrote may "
            f"be only there: podctl gc {pod} --adopt keeps it for a new run"
        )
    for pod in found.others:
        terminal.warn(
            f"{pod} was rented with another SSH key, which alone opens it: "
            f"podctl gc {pod} --terminate ends it, with everything on it"
        )
    for remark in found.remarks:
        terminal.warn(remark)
    if found.pods:
        terminal.say("next: podctl sync")
