"""What an interrupted attempt left here of its work, for the next one to go on from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from controller.names import STAGING
from controller.project import Project
from controller.rental import OVERDUE
from controller.run_folder import RunFolder
from controller.snapshot import Snapshot
from state.journal import Journal

# Attempts with these outcomes left work that is worth going on from.
INTERRUPTED = ("pod-lost", "stopped", "abandoned", OVERDUE)


def leftovers(
    project: Project, journal: Journal, run: str, inputs: Snapshot, tell: Callable[[str], None]
) -> Path | None:
    """The files of this run, or of the stage's newest interrupted one with the same order.

    Only those that were made from these very inputs: a checkpoint of other data, gone on from,
    would be certified with the hash of data that it hardly saw.
    """
    own = RunFolder(project.run_dir(run))
    if received(own.files) and changed(own, inputs):
        own.set_aside()  # from now on the folder's inputs are the new ones
    for name in _candidates(journal, run):
        folder = RunFolder(project.run_dir(name))
        if not received(folder.files):
            continue
        if not (others := changed(folder, inputs)):
            return folder.files
        tell(f"{run}: begins anew, since {others[0]} is another one than {name} had")
    return None


def _candidates(journal: Journal, run: str) -> Iterator[str]:
    own = journal.run(run)
    assert own is not None
    yield run
    rows = [row for row in journal.runs(own.stage) if row.number < own.number]
    newest = rows[-1] if rows else None
    if newest and newest.outcome in INTERRUPTED and newest.spec["stage"] == own.spec["stage"]:
        yield newest.id


def changed(folder: RunFolder, inputs: Snapshot) -> list[str]:
    """Paths that differ between what a run was sent and what would be sent now."""
    was = {one["path"]: one["sha256"] for one in folder.inputs()}
    now = {one.path: one.sha256 for one in inputs.files}
    return sorted(path for path in was.keys() | now.keys() if was.get(path) != now.get(path))


def received(folder: Path) -> list[str]:
    """What came whole; the staging of a pull did not."""
    if not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if path.name != STAGING)
