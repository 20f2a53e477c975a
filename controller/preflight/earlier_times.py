"""Measured job times of passed runs of this project, by stage and type of GPU.

A certificate, current or archived, names the type; the run's folder has the job's start and end.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.locks.certificate import FOLDER
from controller.project.run_folder import RunFolder

LONGEST = 10_000 * 3600.0


@dataclass(frozen=True)
class EarlierRun:
    """One passed run: what it ran with, where, and for how long."""

    gpu: str
    parameters: Mapping[str, Any]
    seconds: float
    ended_at: float


def earlier_runs(root: Path, runs: Path, stage: str) -> tuple[EarlierRun, ...]:
    """The newest run first. A run that was resumed counts no time before its last attempt."""
    paths = [root / FOLDER / f"{stage}.json", *(root / FOLDER / "archive").glob(f"{stage}-*.json")]
    found = [run for path in paths for run in _run(path, runs, stage)]
    return tuple(sorted(found, key=lambda run: -run.ended_at))


def _run(path: Path, runs: Path, stage: str) -> Iterator[EarlierRun]:
    try:
        document = json.loads(path.read_bytes())
        lock = document.get("certificate", document)
        name, gpu = str(lock["run"]), str(lock["cost"]["hardware"])
        parameters, own = dict(lock["parameters"]), lock["stage"] == stage
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return
    end = RunFolder(runs / name).exit() if own and "/" not in name else None
    if end is None or end.rc != 0 or end.attempt > 1:  # a resumed job did a part of the work
        return
    seconds = end.ended_at - end.started_at
    if 0 < seconds < LONGEST:
        yield EarlierRun(gpu, parameters, seconds, end.ended_at)
