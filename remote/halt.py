"""End a run early: politely through its supervisor, or, when that is dead, by hand."""

from __future__ import annotations

import os
import time

from . import durable, handover, launch, lock, report
from .contract import Attempt, JobSpec, Json, Status, dump
from .outcome import Outcome
from .place import Place, boot, document, write_record
from .reserve import Reserve


def stop(place: Place, run: str, reason: str, wait: float) -> Status:
    """Ask for the end; returns after at most `wait` seconds, the job may still write then.

    exit.json says "stopped" in every case, even when the supervisor had died before.
    """
    seen = report.status(place, run)
    if seen.state in ("absent", "ended"):
        return seen
    if lock.held(place.lock) and _supervised(place):
        _ask(place, run, {"run": run, "attempt": seen.attempt, "reason": reason[:500]})
    elif seen.state == "lost" or not _supervised(place):
        _by_hand(place, run, reason)
    return _await_end(place, run, wait)


def _ask(place: Place, run: str, note: Json) -> None:
    """Leave word for the supervisor. On the volume it outlives the container, unless it is full."""
    try:
        write_record(place.run(run) / "stop.json", note)
    except OSError:
        write_record(place.stop, note)


def _supervised(place: Place) -> bool:
    """A supervisor, or the agent that is starting one, is among those who hold the lock."""
    commands = lock.processes(place.lock).values()
    return any("remote.shim" in text or "remote.agent start" in text for text in commands)


def _by_hand(place: Place, run: str, reason: str) -> None:
    """No supervisor: end what is left and have a new one hash and commit."""
    spec = document(JobSpec, place.run(run) / "spec.json")
    last = document(Attempt, place.run(run) / "attempt.json")
    if spec is None or last is None:
        return
    holder = lock.holder(place.lock)
    if holder and holder.run == run and lock.held(place.lock):
        lock.end_processes(place.lock, spec.term_grace_seconds)
    fd = lock.take(place.lock)
    if fd is None:  # somebody started it again meanwhile
        return
    try:
        Reserve(place.run(run) / "reserve").release()
        lock.sign(fd, lock.Holder(run, last.number + 1))
        if Outcome.saved(place.run(run)) is None:
            Outcome(143, "stopped", reason[:500]).save(place.run(run))
        attempt = Attempt(run, last.number + 1, boot(place.local).id, time.time())
        handover.own(place.run(run), boot(place.local))
        durable.write(place.run(run) / "attempt.json", dump(attempt))
        launch.spawn(place, run, attempt.number, fd)
    finally:
        os.close(fd)


def _await_end(place: Place, run: str, wait: float) -> Status:
    deadline = time.monotonic() + wait
    while True:
        seen = report.status(place, run)
        if seen.state == "ended" or time.monotonic() >= deadline:
            return seen
        time.sleep(min(0.1, max(0.0, deadline - time.monotonic())))
