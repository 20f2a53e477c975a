"""The invariants, checked by the emulator's records, the job monitor and the files' bytes.

I1  no pod of ours is left in any state; I1b never did two bill at once
I2  every local file is what the job wrote, byte by byte, and nothing was computed twice
I3  the ledger has every billed pod, as its bill has it, within three seconds of its rate
I4  a locked stage was not started again
I5  one job process at any time
I9  no lease is open after one more command
I10 a lease that always raises and is given up is closed: no pod, no open interval
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from tests.crash.job_monitor import ObservedJobs
from tests.crash.workload import STAGE, Workload

CLOSE = 3.0  # seconds: one that is billed, and two in which this machine was busy
HOUR = 3600.0


@dataclass(frozen=True)
class Evidence:
    """What is known about a history after its end."""

    workload: Workload
    cloud: dict[str, Any]  # the emulator's own state
    seen: ObservedJobs
    disturbed: bool  # the pod failed, so another pod or attempt is correct

    @property
    def pods(self) -> list[dict[str, Any]]:
        return list(self.cloud["pods"])

    def ledger(self) -> list[tuple[Any, ...]]:
        return self.rows(
            "SELECT pod_id, kind, nano_per_hour, started_ms, ended_ms FROM interval ORDER BY id"
        )

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        state = self.workload.state
        if not state.exists():
            return []
        with closing(sqlite3.connect(f"file:{state}?mode=ro", uri=True)) as connection:
            return connection.execute(query).fetchall()


def violations(context: Evidence) -> list[str]:
    """Every invariant that does not hold, in words."""
    checks = (_no_pod_left, _one_bills, _files, _once, _books, _one_job, _closed)
    return [violation for check in checks for violation in check(context)]


def given_up(context: Evidence) -> list[str]:
    """I10: no pod is left, no lease, run or interval is open, and the database is intact."""
    violations = [*_no_pod_left(context), *_one_bills(context)]
    for lease, outcome in context.rows("SELECT id, outcome FROM lease WHERE closed_at IS NULL"):
        violations.append(f"I10 lease {lease} is open ({outcome})")
    for (run,) in context.rows("SELECT id FROM run WHERE finished_at IS NULL"):
        violations.append(f"I10 run {run} is open")
    for pod, kind, _, _, ended in context.ledger():
        if ended is None:
            violations.append(f"I10 {kind} of pod {pod} is still open in the ledger")
    if context.rows("PRAGMA integrity_check") != [("ok",)]:
        violations.append("I10 the database is damaged")
    return violations


def _no_pod_left(context: Evidence) -> Iterator[str]:
    for pod in context.pods:
        if pod["status"] != "TERMINATED":
            yield f"I1 pod {pod['id']} is left, {pod['status']}"


def _one_bills(context: Evidence) -> Iterator[str]:
    compute = [
        interval for interval in context.cloud["intervals"] if interval["kind"] in ("gpu", "cpu")
    ]
    for a, b in combinations(compute, 2):
        end = min(interval["end"] or context.cloud["now"] for interval in (a, b))
        both = end - max(a["start"], b["start"])
        if a["owner"] != b["owner"] and both > 0:
            yield f"I1b pods {a['owner']} and {b['owner']} billed together for {both:.2f} s"


def _files(context: Evidence) -> Iterator[str]:
    root = context.workload.folder
    local = {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted((root / "out").rglob("*"))
        if path.is_file()
    }
    expected = context.workload.expected
    for path in sorted(local.keys() | expected.keys()):
        if local.get(path) != expected.get(path):
            yield f"I2 {path} is not what the job wrote"
    yield from _certificate(context, expected)


def _certificate(context: Evidence, expected: dict[str, bytes]) -> Iterator[str]:
    """The lock names every file with its hash."""
    if not context.workload.lock.exists():
        yield "I2 the stage is not locked"
        return
    text = json.dumps(json.loads(context.workload.lock.read_bytes()))
    for path, data in expected.items():
        if path not in text or hashlib.sha256(data).hexdigest() not in text:
            yield f"I2 the lock does not name {path}"


def _once(context: Evidence) -> Iterator[str]:
    """A history whose pod did not fail takes one pod and one job."""
    if context.disturbed:
        return
    if len(context.pods) != 1:
        yield f"I1b {len(context.pods)} pods were rented"
    if len(context.seen.starts) != 1:
        yield f"I2 the job was started {len(context.seen.starts)} times"


def _books(context: Evidence) -> Iterator[str]:
    for pod, dollars, booked, rate in differences(context):
        if booked is None:
            yield f"I3 pod {pod} was billed ${dollars:.4f} and is not in the ledger"
        elif abs(dollars - booked) > CLOSE * rate / HOUR:
            yield f"I3 pod {pod} was billed ${dollars:.6f}, the ledger has ${booked:.6f}"
    for pod, kind, _, _, ended in context.ledger():
        if ended is None:
            yield f"I3 {kind} of pod {pod} is still open in the ledger"


def differences(context: Evidence) -> Iterator[tuple[str, float, float | None, float]]:
    """Of every billed pod: its bill, what the ledger has of it, and its dollars an hour."""
    now = context.cloud["now"]
    booked: dict[str, float] = {}
    for pod, _, nano, started, ended in context.ledger():
        milliseconds = (ended if ended is not None else now * 1000) - started
        booked[pod] = booked.get(pod, 0.0) + nano / 1e9 * milliseconds / 1000 / HOUR
    for pod in context.pods:
        intervals = [
            interval for interval in context.cloud["intervals"] if interval["owner"] == pod["id"]
        ]
        billed = sum(
            ((interval["end"] or now) - interval["start"]) * interval["usd_per_hour"] / HOUR
            for interval in intervals
        )
        if intervals:
            yield pod["id"], billed, booked.get(pod["id"]), pod["usd_per_hour"]


def _one_job(context: Evidence) -> Iterator[str]:
    if context.seen.overlaps:
        yield f"I5 {context.seen.overlaps} times a job began while another ran"
    if context.workload.lock.exists():
        locked_at = context.workload.lock.stat().st_mtime
        late = [at for at in context.seen.starts if at > locked_at]
        if late:
            yield f"I4 {len(late)} jobs began after the stage was locked"


def _closed(context: Evidence) -> Iterator[str]:
    for lease, outcome in context.rows("SELECT id, outcome FROM lease WHERE closed_at IS NULL"):
        yield f"I9 lease {lease} is open ({outcome})"
    for (run,) in context.rows("SELECT id FROM run WHERE finished_at IS NULL"):
        yield f"I9 run {run} is open"
    if not context.rows(f"SELECT 1 FROM stage_lock WHERE stage = '{STAGE}' AND kind = 'locked'"):
        yield "I4 the database has no lock of the stage"
    if context.rows("PRAGMA integrity_check") != [("ok",)]:
        yield "I4 the database is damaged"
