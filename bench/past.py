"""A project that has a past: locked-away runs, and a ledger of any length."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from controller.config import example
from controller.project import Project
from controller.rental import Step
from state.interval import Interval, nano_per_hour
from state.journal import Journal
from state.ledger import Ledger
from state.owner import acquire

STAGES = ("stage1a", "stage1b", "stage1c", "stage1d", "stage1e")
BEGAN_MS = 1_790_000_000_000  # Unix milliseconds
MINUTE_MS = 60_000
BATCH = 100_000  # rows a transaction


def write_project(root: Path, *, rows: int, pods: int = 20) -> Project:
    """A folder with podctl.toml and a state that holds `rows` closed intervals of `pods` pods."""
    (root / "podctl.toml").write_text(example("bench"))
    project = Project(root)
    project.prepare()
    with acquire(project.state_dir, "bench") as owner:
        journal = Journal(owner.connection, owner.epoch)
        for stage in STAGES:
            _finished_run(journal, stage)
        ledger = Ledger(owner.connection, owner.epoch)
        for first in range(0, rows, BATCH):
            ledger.record(_intervals(first, min(rows, first + BATCH), pods))
    return project


def _finished_run(journal: Journal, stage: str) -> None:
    lease = journal.open_lease({"provider": "runpod"})
    run = journal.open_run(lease, stage, {"stage": {"name": stage, "hours": 1.0}})
    journal.note(lease, Step.FINISH, {"outcome": "passed", "why": ""}, run)
    journal.finish_run(run, "passed")
    journal.note(lease, Step.CLOSE, {"outcome": "passed"})
    journal.close_lease(lease, "passed")


def _intervals(first: int, last: int, pods: int) -> Iterator[Interval]:
    """Rows number `first` to `last`: a minute of compute or disk each, one stage a pod."""
    for number in range(first, last):
        pod = number % pods
        begin = BEGAN_MS + number * MINUTE_MS // pods
        yield Interval(
            0,
            f"pod{pod:06}",
            f"l{pod:04}",
            f"{STAGES[pod % len(STAGES)]}-{pod:04}",
            STAGES[pod % len(STAGES)],
            "compute" if number // pods % 2 else "disk",
            nano_per_hour(0.86 if number // pods % 2 else 0.011),
            "provider",
            begin,
            begin + MINUTE_MS,
            "provider",
        )
