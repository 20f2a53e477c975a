"""The downloaded files of an earlier attempt, from which the next one resumes.

Whatever ended an attempt (its pod, its user, an error, a spent budget), a later run with the same
command, parameters and inputs gets its files back. One that went to its end by itself has nothing
to resume from. The user always sees which of both applies, and why.
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
from state.journal import Journal
from state.journal_rows import Run

AS_ASKED = "although {difference}, as --resume asks"


def leftovers(
    project: Project, journal: Journal, run: str, inputs: Snapshot, tell: Callable[[str], None]
) -> Path | None:
    """The files from which `run` resumes: its own of an earlier pod, or an earlier attempt's.

    Only files made from the same inputs: otherwise the lock would certify a checkpoint with the
    hash of data on which it was hardly trained.
    """
    own = RunFolder(project.run_dir(run))
    if received(own.files) and changed(own, inputs):
        own.set_aside()  # the folder's inputs are replaced below
    if received(own.files):
        tell(f"{run}: resumes from {_words(own)} of its earlier pod")
        return own.files
    row = journal.run(run)
    assert row is not None
    wish = _options(journal, row)
    if wish.get("fresh"):
        tell(f"{run}: starts from the beginning (--fresh)")
        return None
    earlier = _attempt(project, journal, row, wish.get("resume"))
    if earlier is None:
        return None
    folder = RunFolder(project.run_dir(earlier.id))
    difference = _difference(earlier, row, folder, inputs)
    if difference and not wish.get("resume"):
        tell(
            f"{run}: starts from the beginning, since {difference}; --resume {earlier.id} resumes "
            "anyway"
        )
        return None
    why = (
        f", {AS_ASKED.format(difference=difference)}"
        if difference
        else "; --fresh starts from the beginning"
    )
    tell(f"{run}: resumes from {_words(folder)} of {earlier.id}{why}")
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
            f"{run} left no downloaded files to resume from",
            where=str(project.run_dir(run)),
            hint=f"podctl run {row.stage}",
        )


def _options(journal: Journal, row: Run) -> Mapping[str, Any]:
    """`fresh` or `resume`, as the lease was opened with, or renewed for this run."""
    lease = journal.lease(row.lease)
    return terms(journal, lease, row.id) if lease is not None else {}


def _attempt(project: Project, journal: Journal, own: Run, named: str | None) -> Run | None:
    """The attempt that `named` names; else the newest that left files here.

    An attempt with --fresh that left no files hides the attempts before it.
    """
    rows = [row for row in journal.runs(own.stage) if row.number < own.number]
    for row in reversed(rows):
        received_files = received(RunFolder(project.run_dir(row.id)).files)
        if received_files and named in (None, row.id):
            return row
        if named is None and _options(journal, row).get("fresh"):
            return None
    return None


def _difference(earlier: Run, now: Run, folder: RunFolder, inputs: Snapshot) -> str:
    """Why `now` cannot resume from the files of `earlier`; empty when it can."""
    if earlier.outcome in COMPLETE:
        return f"{earlier.id} {COMPLETE[earlier.outcome]}"
    before, stage_now = earlier.spec.get("stage", {}), now.spec.get("stage", {})
    if before.get("command") != stage_now.get("command"):
        return f"the command differs from that of {earlier.id}"
    for key, noun in (("env", "variable"), ("parameters", "parameter")):
        for name, old, new in unlike(before.get(key, {}), stage_now.get(key, {})):
            return f"{noun} {name} was {shown(old)} in {earlier.id}, and is {shown(new)} now"
    if others := changed(folder, inputs):
        return f"{encode(others[0])} differs from that of {earlier.id}"
    return ""


def _words(folder: RunFolder) -> str:
    """A description of the resume data: "step 118", or "3 files" without a known step."""
    step = newest_step(folder.files)
    if step is not None:
        return f"step {step}"
    count = sum(path.is_file() for path in folder.files.rglob("*") if STAGING not in path.parts)
    return f"{count} file{'' if count == 1 else 's'}"


def changed(folder: RunFolder, inputs: Snapshot) -> list[str]:
    """Paths that differ between what a run was sent and what would be sent now."""
    recorded = {entry["path"]: entry["sha256"] for entry in folder.inputs()}
    now = {file.path: file.sha256 for file in inputs.files}
    return sorted(
        path for path in recorded.keys() | now.keys() if recorded.get(path) != now.get(path)
    )


def received(folder: Path) -> list[str]:
    """The completely received files, without the staging area of a pull."""
    if not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if path.name != STAGING)
