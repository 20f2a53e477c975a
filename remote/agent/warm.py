"""Let the pod wait for another run after one that has ended, for a while; then its guard ends it.

The controller asks for it once every file that the job wrote is on the user's machine.
"""

from __future__ import annotations

import time

from ..contract import Status
from ..pod.paths import PodPaths, boot, record, write_record
from . import status as report

LONGEST_SECONDS = 86400.0


class Refusal(Exception):
    """The pod cannot wait."""


def keep(place: PodPaths, run: str, seconds: float, then: str) -> Status:
    """Note for the guard when, and how, to end the pod. Raises Refusal while something runs."""
    lease, now = record(place.lease) or {}, boot(place.local)
    if lease.get("boot_id") != now.id or lease.get("run") != run or lease.get("ended") is None:
        raise Refusal(f"{run} is not what ended last in this container")
    if not 0 < seconds <= LONGEST_SECONDS or then not in ("terminate", "park"):
        raise Refusal(f"{seconds} seconds, then {then}")
    note = {"boot_id": now.id, "until": time.monotonic() + seconds, "then": then}
    note.update({key: lease.get(key) for key in ("run", "attempt")})
    write_record(place.warm, note, sync=False)
    return report.status(place, run)
