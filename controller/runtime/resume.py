"""What an earlier attempt left here of its work, for the next one to go on from.

Whatever ended an attempt (its pod, its user, an error, a spent budget), a later run with the same
command, parameters and inputs gets its files back. One that went to its end by itself has nothing
to be gone on from. Which of both it is, and why, is always told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from controller.engine.lease_context import terms
from controller.errors import NotFound
from controller.locks.staleness import shown, unlike
from controller.planner.outcomes import COMPLETE
from controller.project.project import Project
from controller.project.run_folder import RunFolder
from controller.runtime.checkpoint import newest_step
from controller.transfer.manifest_check import STAGING
from controller.transfer.snapshot import Snapshot
from remote.names import encode
from state.journal import Journal, Run

AS_ASKED = "although {difference}, as --resume asks"


def leftovers(
    project: Project, journal: Journal, run: str, inputs: Snapshot, tell: Callable[[str], None]
) -> Path | None:
    """The files that `run` goes on from: its own of an earlier pod, or an earlier attempt's.

    Only those that were made from these very inputs: a checkpoint of other data, gone on from,
    would be certified with the hash of data that it hardly saw.
    """
    own = RunFolder(project.run_dir(run))
    if received(own.files) and changed(own, inputs):
        own.set_aside()  # from now on the folder's inputs are the new ones
    if received(own.files):
        tell(f"{run}: goes on from {_words(own)} of its earlier pod")
        return own.files
    row = journal.run(run)
    assert row is not None
    wish = _wish(journal, row)
    if wish.get("fresh"):
        tell(f"{run}: begins anew, as --fresh asks")
        return None
    earlier = _attempt(project, journal, row, wish.get("resume"))
    if earlier is None:
        return None
    folder = RunFolder(project.run_dir(earlier.id))
    difference = _difference(earlier, row, folder, inputs)
    if difference and not wish.get("resume"):
        tell(f"{run}: begins anew, since {difference}; --resume {earlier.id} goes on all the same")
        return None
    why = f", {AS_ASKED.format(difference=difference)}" if difference else "; --fresh begins anew"
    tell(f"{run}: goes on from {_words(folder)} of {earlier.id}{why}")
    return folder.files


def check_resume(project: Project, journal: Journal, run: str, stages: Sequence[str]) -> None:
    """Raise NotFound unless `run` is an earlier attempt at one of `stages` that left files here."""
    row = journal.run(run)
    if row is None or row.stage not in stages:
        raise NotFound(
            f"there is no run {run} of {', '.join(stages)}",
            hint="podctl status --all lists the runs" if row is None else f"podctl run {row.stage}",
        )
    if not received(RunFolder(project.run_dir(run)).files):
        raise NotFound(
            f"{run} left no files here to go on from",
            where=str(project.run_dir(run)),
            hint=f"podctl run {row.stage}",
        )


def _wish(journal: Journal, row: Run) -> Mapping[str, Any]:
    """`fresh` or `resume`, as the lease was opened with, or renewed for this run."""
    lease = journal.lease(row.lease)
    return terms(journal, lease, row.id) if lease is not None else {}


def _attempt(project: Project, journal: Journal, own: Run, named: str | None) -> Run | None:
    """The attempt that `named` names; else the newest that left files here.

    One that was to begin anew and left nothing hides those before it.
    """
    rows = [row for row in journal.runs(own.stage) if row.number < own.number]
    for row in reversed(rows):
        there = received(RunFolder(project.run_dir(row.id)).files)
        if there and named in (None, row.id):
            return row
        if named is None and _wish(journal, row).get("fresh"):
            return None
    return None


def _difference(was: Run, now: Run, folder: RunFolder, inputs: Snapshot) -> str:
    """Why `now` cannot go on from what `was` left, in words; empty when it can."""
    if was.outcome in COMPLETE:
        return f"{was.id} {COMPLETE[was.outcome]}"
    before, here = was.spec.get("stage", {}), now.spec.get("stage", {})
    if before.get("command") != here.get("command"):
        return f"the command is another one than {was.id} had"
    for key, word in (("env", "variable"), ("parameters", "parameter")):
        for name, old, new in unlike(before.get(key, {}), here.get(key, {})):
            return f"{word} {name} was {shown(old)} in {was.id}, and is {shown(new)} now"
    if others := changed(folder, inputs):
        return f"{encode(others[0])} is another one than {was.id} had"
    return ""


def _words(folder: RunFolder) -> str:
    """What there is to go on from: "step 118", or "3 files" where nothing names a step."""
    step = newest_step(folder.files)
    if step is not None:
        return f"step {step}"
    count = sum(path.is_file() for path in folder.files.rglob("*") if STAGING not in path.parts)
    return f"{count} file{'' if count == 1 else 's'}"


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
