"""Which locks are stale: the project as it is now against what the certificates recorded."""

from __future__ import annotations

from collections.abc import Mapping

from controller import certificate, snapshot
from controller.errors import PodctlError
from controller.project import Project
from controller.staleness import Difference, all_differences
from jobs.stage import Stage


def stale(project: Project) -> dict[str, tuple[Difference, ...]]:
    """Every locked stage with what differs now; an empty tuple means that the lock is current."""
    locks = certificate.read_all(project.root)
    ordered = in_order(project.stages)
    inputs = {name: input_hashes(project, ordered[name]) for name in locks if name in ordered}
    return all_differences(ordered, locks, inputs)


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


def input_hashes(project: Project, stage: Stage) -> dict[str, str]:
    """Path to sha256 of everything that a run of `stage` would send now; what is absent is not in
    it."""
    found: dict[str, str] = {}
    for declared in (*stage.inputs, *project.config.upload.include):
        try:
            taken = snapshot.take(project.root, [declared], allow=["**"])
        except PodctlError:
            continue  # it is not there, or cannot be read: a difference like any other
        found |= {one.path: one.sha256 for one in taken.files}
    return found
