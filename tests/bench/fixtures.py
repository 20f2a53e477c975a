"""A project that has a past: locked-away runs, and a ledger of any length."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from controller.engine.lease_context import pinned
from controller.planner.lease_state import Step
from controller.planner.pod_spec import Shape
from controller.project.config import example
from controller.project.project import Project
from state.interval import Interval, nano_per_hour
from state.journal import Journal
from state.ledger import Ledger
from state.project_lock import acquire

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
        _hurry(owner.connection)
        journal = Journal(owner.connection, owner.epoch)
        for stage in STAGES:
            _finished_run(journal, stage)
        ledger = Ledger(owner.connection, owner.epoch)
        for first in range(0, rows, BATCH):
            ledger.record(_intervals(first, min(rows, first + BATCH), pods))
    return project


def write_long_past(root: Path, *, runs: int, rows: int, api_base: str) -> Project:
    """The same with `runs` finished runs, each on a lease of its own with all of its records.

    In the order in which a lease is written, through the journal's own tables, in few transactions:
    one a record would take an hour.
    """
    project = write_project(root, rows=rows, pods=runs)
    text = (
        (root / "podctl.toml").read_text().replace('provider = "runpod"', 'provider = "emulator"')
    )
    (root / "podctl.toml").write_text(text)
    stage = project.stages["stage1c"]
    spec = json.dumps(pinned(stage, Shape("runpod/pytorch:1.0.3", api_base=api_base)))
    with acquire(project.state_dir, "bench") as owner:
        connection = owner.connection
        _hurry(connection)
        for first in range(len(STAGES) + 1, runs + 1, BATCH // 10):
            connection.execute("BEGIN IMMEDIATE")
            for number in range(first, min(runs + 1, first + BATCH // 10)):
                _write_lease(connection, owner.epoch, number, spec)
            connection.execute("COMMIT")
    return project


def _hurry(connection: Any) -> None:
    """Nobody needs what a bench wrote when the power fails."""
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA cache_size = -200000")


def _write_lease(connection: Any, epoch: int, number: int, spec: str) -> None:
    lease, stage, pod = f"l{number:04}", STAGES[number % len(STAGES)], f"pod{number:06}"
    run, at = f"{stage}-{number:04}", BEGAN_MS / 1000 + 60.0 * number
    data = json.dumps({"provider": "emulator", "on_success": "terminate", "boot": 1200.0})
    connection.execute(
        "INSERT INTO lease VALUES (?, ?, ?, ?, ?, NULL, NULL)", (number, lease, at, data, epoch)
    )
    connection.execute(
        "INSERT INTO run (id, stage, number, lease, at, spec, epoch) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (run, stage, number, lease, at, spec, epoch),
    )
    last: int | None = None
    for step, phase, settles, own, facts in _records(number, pod):
        last = connection.execute(
            "INSERT INTO op (at, lease, run, step, phase, of, data, epoch)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (at, lease, run if own else None, step, phase, last if settles else None,
             json.dumps(facts), epoch),
        ).lastrowid  # fmt: skip
    result = json.dumps({"why": ""})
    connection.execute(
        "UPDATE run SET finished_at = ?, outcome = 'passed', result = ? WHERE id = ?",
        (at + 50, result, run),
    )
    connection.execute(
        "UPDATE lease SET closed_at = ?, outcome = 'passed' WHERE id = ?", (at + 50, lease)
    )
    for subject, seen in ((f"run:{run}", {"state": "ended", "step": 10}), (f"pod:{pod}", {})):
        connection.execute(
            "INSERT INTO sighting VALUES (?, 'agent', ?, ?)", (subject, at, json.dumps(seen))
        )


def _records(number: int, pod: str) -> Iterator[tuple[str, str, bool, bool, dict[str, Any]]]:
    """(step, phase, settles the one before, is the run's, data) of a run without trouble."""
    offer = {"offer": "NVIDIA L40S", "usd_per_hour": 0.86, "count": 1}
    rented = {"pod": pod, "usd_per_hour": 0.86, "disk_gb": 30, "volume_gb": 60, "started_at": 1.0}
    yield "generation", "note", False, False, {"number": 1, "nonce": f"{number:016x}"}
    yield "create", "intent", False, False, offer
    yield "create", "done", True, False, rented
    yield "reached", "note", False, False, {"pod": pod, "started_at": 1.0}
    yield "upload", "intent", False, True, {}
    yield "upload", "done", True, True, {"pod": pod, "code": "c" * 64, "bytes": 12345}
    yield "start-job", "intent", False, True, {"at": 1.0}
    yield "start-job", "done", True, True, {"attempt": 1, "pod": pod, "at": 1.0}
    yield "pull", "intent", False, True, {}
    yield "pull", "done", True, True, {"manifest_sha256": "m" * 64, "rc": 0, "reason": "exited"}
    yield "judge", "note", False, True, {"verdict": "PASS", "findings": []}
    yield "lock", "intent", False, True, {}
    yield "lock", "done", True, True, {"certificate_sha256": "c" * 64}
    yield "finish", "note", False, True, {"outcome": "passed", "why": ""}
    yield "terminate", "intent", False, False, {"pod": pod, "reason": "the lease is over"}
    yield "terminate", "done", True, False, {"pod": pod, "at": 2.0, "seen_alive": True}
    yield "gone", "note", False, False, {"pod": pod, "ended_at": 2.0}
    yield "close", "note", False, False, {"outcome": "passed"}


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
