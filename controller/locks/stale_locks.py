"""Which locks are stale: the project as it is now against what the certificates recorded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from controller.errors import UsageError
from controller.locks import certificate
from controller.locks.artifacts import hash_file, made_before
from controller.locks.certificate import Certificate
from controller.locks.staleness import Difference, all_differences
from controller.project.project import Project
from controller.project.stages import declared_inputs
from controller.transfer.file_selection import select
from controller.transfer.tracked_files import TrackedFiles, belonging
from controller.transfer.upload import code_digest
from jobs.stage import Stage


def stale(project: Project) -> dict[str, tuple[Difference, ...]]:
    """Every locked stage with what differs now; an empty tuple means that the lock is current."""
    locks = certificate.read_all(project.root)
    ordered = in_order(project.stages)
    try:
        who = belonging(project.root) if locks else None
    except UsageError:  # each selection says so
        who = None
    inputs = {
        name: input_hashes(project, ordered[name], lock, who)
        for name, lock in locks.items()
        if name in ordered
    }
    return all_differences(ordered, locks, inputs, code_digest())


def in_order(stages: Mapping[str, Stage]) -> dict[str, Stage]:
    """The stages with every need before what needs it; otherwise as they come."""
    found: dict[str, Stage] = {}

    def place(name: str) -> None:
        if name in found or name not in stages:
            return
        for need in stages[name].needs:
            place(need)
        found[name] = stages[name]

    for name in stages:
        place(name)
    return found


def input_hashes(
    project: Project, stage: Stage, lock: Certificate, who: TrackedFiles | None = None
) -> dict[str, str]:
    """Path to sha256 of everything that a run of `stage` would send now; what is absent is not in
    it. A file that nobody touched since the lock's run began is not read again."""
    recorded = {one.path: one for one in lock.inputs}
    found: dict[str, str] = {}
    # What is not there, or cannot be read, is a difference like any other.
    made = made_before(project.root, stage.name)
    declared = declared_inputs(project, stage)
    here = select(project.root, declared, project.config.upload.include, made, who).files
    for path, source in here.items():
        known = recorded.get(path)
        same = known is not None and _untouched(source, known.size, lock.started_at)
        sha256 = known.sha256 if known is not None and same else _hash(source)
        if sha256:
            found[path] = sha256
    return found


def _untouched(source: Path, size: int, since: float) -> bool:
    """By the inode's own time of change, which no copying or touching sets back."""
    try:
        about = source.stat()
    except OSError:
        return False
    return about.st_size == size and about.st_ctime < since


def _hash(source: Path) -> str:
    try:
        return hash_file(source)[1]
    except OSError:
        return ""
