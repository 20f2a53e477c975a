"""Ends a run early: through its supervisor or, when that is dead, directly.

Directly it may take as long as the job's grace, which is longer than a call of the agent may last:
`python3 -S -m remote.agent.stop --root R --run NAME --reason TEXT` does it apart from its caller.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import sys
import time

from ..contract import Attempt, JobSpec, Json, Status, dump
from ..pod import atomic_files, handover
from ..pod import job_lock as lock
from ..pod.disk_reserve import DiskReserve
from ..pod.outcome import Outcome
from ..pod.paths import PodPaths, boot, document, write_record
from ..pod.process_tree import JobTree
from ..pod.termination import Termination
from . import launch
from . import status as report

TICK_SECONDS = 0.05

# Command lines of who holds a run's lock; the second is what podctl before 0.2 called itself.
SUPERVISORS = ("remote.supervisor", "remote.shim", "remote.agent start")


def stop(paths: PodPaths, run: str, reason: str, wait: float) -> Status:
    """Request the end; returns within `wait` seconds, when the job may still be saving.

    exit.json says "stopped" in every case, even when the supervisor had died before.
    """
    status = report.status(paths, run)
    if status.state in ("absent", "ended"):
        return status
    if lock.held(paths.lock):
        _ask(paths, run, {"run": run, "attempt": status.attempt, "reason": reason[:500]})
        if _supervised(paths):
            return _await_end(paths, run, wait)
        launch.detach(paths, run, "remote.agent.stop", ["--reason", reason[:500]])
    else:
        _record(paths, run, reason)
    return _await_end(paths, run, wait)


def _ask(paths: PodPaths, run: str, note: Json) -> None:
    """Write the stop request. On the volume it outlives the container, unless it is full."""
    try:
        write_record(paths.run(run) / "stop.json", note)
    except OSError:
        write_record(paths.stop, note)


def _supervised(paths: PodPaths) -> bool:
    """Whether a supervisor, or an agent that is starting one, holds the lock."""
    commands = lock.processes(paths.lock).values()
    return any(module in text for text in commands for module in SUPERVISORS)


def _by_hand(paths: PodPaths, run: str, reason: str) -> None:
    """End a job without a supervisor and all its processes, then record the end."""
    spec, holder = document(JobSpec, paths.run(run) / "spec.json"), lock.holder(paths.lock)
    if spec is None or holder is None or holder.run != run:
        return
    commands = lock.processes(paths.lock)
    holders = frozenset(pid for pid, text in commands.items() if "remote.agent" not in text)
    end = Termination(JobTree(boot(paths.local).id, None, holders), spec.term_grace_seconds)
    while not end.step():
        time.sleep(TICK_SECONDS)
    _record(paths, run, reason)


def _record(paths: PodPaths, run: str, reason: str) -> None:
    """Start a supervisor that ends remaining processes, hashes and commits."""
    last = document(Attempt, paths.run(run) / "attempt.json")
    if last is None or (fd := lock.take(paths.lock)) is None:  # or started again meanwhile
        return
    try:
        DiskReserve(paths.run(run) / "reserve").release()
        lock.sign(fd, lock.Holder(run, last.number + 1))
        if Outcome.saved(paths.run(run)) is None:
            Outcome(143, "stopped", reason[:500]).save(paths.run(run))
        attempt = Attempt(run, last.number + 1, boot(paths.local).id, time.time())
        handover.own(paths.run(run), boot(paths.local))
        atomic_files.write(paths.run(run) / "attempt.json", dump(attempt))
        launch.spawn(paths, run, attempt.number, fd)
    finally:
        os.close(fd)


def _await_end(paths: PodPaths, run: str, wait: float) -> Status:
    deadline = time.monotonic() + wait
    while True:
        status = report.status(paths, run)
        if status.state == "ended" or time.monotonic() >= deadline:
            return status
        time.sleep(min(0.1, max(0.0, deadline - time.monotonic())))


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="remote.agent.stop", description="End an unsupervised job."
    )
    for name in ("--root", "--run", "--reason"):
        parser.add_argument(name, required=True)
    asked = parser.parse_args()
    os.umask(0o077)
    paths = PodPaths.at(asked.root)
    with (paths.local / "halt.lock").open("w") as once:
        try:
            fcntl.flock(once, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # another is at it
            return 0
        _by_hand(paths, asked.run, asked.reason)
    return 0


if __name__ == "__main__":
    sys.exit(main())
