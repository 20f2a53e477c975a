"""What a passed run leaves: files, size, cost, time, lock, and the next command."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from controller.locks import certificate
from controller.locks.certificate import Artifact, Certificate
from controller.planner.job_progress import span
from controller.project.project import Project
from controller.terminal.formatting import size, usd
from jobs.stage import Stage
from remote.names import encode

MOST_FOLDERS = 4  # that are named


def passed_lines(project: Project, stages: Sequence[str]) -> list[str]:
    """Lines about each of `stages` that is locked, and the command that may follow."""
    locks = certificate.read_all(project.root)
    lines = [line for name in stages if name in locks for line in _stage_lines(locks[name])]
    return [*lines, f"next: {next_command(project.stages, locks, stages)}"] if lines else []


def _stage_lines(lock: Certificate) -> list[str]:
    count = len(lock.artifacts)
    amount = size(sum(artifact.size for artifact in lock.artifacts))
    files = "1 file" if count == 1 else f"{count} files"
    time_billed = span(3600 * lock.cost.hours)
    return [
        f"{lock.stage} passed: {time_billed} on the pod, {usd(lock.cost.usd)}",
        f"  files: {', '.join(folders_of(lock.artifacts))} ({files}, {amount})",
        f"  lock:  {certificate.FOLDER}/{lock.stage}.json",
    ]


def folders_of(artifacts: Sequence[Artifact]) -> list[str]:
    """The folders, or single files, in which the artifacts are, below the project."""
    roots: dict[str, list[str]] = {}
    for artifact in artifacts:
        roots.setdefault(artifact.path.split("/", 1)[0], []).append(artifact.path)
    shown = []
    for paths in roots.values():
        common = os.path.commonpath(paths) if len(paths) > 1 else paths[0]
        shown.append(encode(common + ("/" if len(paths) > 1 else "")))
    more = len(shown) - MOST_FOLDERS
    return shown if more <= 0 else [*shown[:MOST_FOLDERS], f"and {more} more"]


def next_command(
    stages: Mapping[str, Stage], locks: Mapping[str, object], passed: Sequence[str]
) -> str:
    """The stage that waited for the passed ones and can run now; else a look at the lock."""
    for name, stage in stages.items():
        waited = set(passed) & set(stage.needs)
        if name not in locks and waited and all(need in locks for need in stage.needs):
            return f"podctl run {name}"
    return f"podctl locks {passed[-1]}"
