"""Two pods with one run on a shared volume: the later one takes over once the other ended its job.

No clocks are compared: a supervisor writes its heartbeat until its job is dead, so that a heartbeat
which stays away is the sign that nobody else works on the run.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from .paths import Boot, record, write_record

SILENT_BEATS = 10  # heartbeats that fail to come before a pod counts as gone


def own(run: Path, now: Boot) -> None:
    """Claim the run for this boot; a previous owner notices within one heartbeat."""
    before = record(run / "owner.json") or {}
    generation = before.get("generation", 0)
    owner = {
        "pod": now.pod,
        "boot_id": now.id,
        "generation": (generation if isinstance(generation, int) else 0) + 1,
    }
    if before.get("pod") not in (None, now.pod):
        owner["before"] = before.get("boot_id")
    elif "before" in before:  # this pod's own earlier life is dead; whom it waited for may not be
        owner["before"] = before["before"]
    write_record(run / "owner.json", owner)


def superseded(run: Path, now: Boot) -> str | None:
    """The pod that took the run over, if one did."""
    owner = record(run / "owner.json") or {}
    taken = owner.get("boot_id") not in (None, now.id)
    return str(owner.get("pod") or "?") if taken else None


def await_predecessor(run: Path, beat: float, patience: float, tick: Callable[[], None]) -> bool:
    """Wait until the previous pod has no job; False if its heartbeat never stops.

    `beat` is the seconds between two heartbeats, `patience` what ending a job may take.
    """
    before = (record(run / "owner.json") or {}).get("before")
    last_beat = began = time.monotonic()
    while before is not None and time.monotonic() - last_beat < SILENT_BEATS * beat:
        if time.monotonic() - began > patience:
            return False
        if (record(run / "heartbeat.json") or {}).get("boot_id") == before:
            last_beat = time.monotonic()
        tick()
    return True
