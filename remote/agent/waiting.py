"""The waiting call: a status that is answered once it differs from the one that the caller has.

It looks at the files' times ten times a second, and at everything twice a second. Its own deadline
ends it, by the clock that no calendar sets, when the caller is gone.
"""

from __future__ import annotations

import os
import time

from .status import status

TYPE_CHECKING = False  # of `typing`, which is not imported: it costs CPU
if TYPE_CHECKING:
    from ..contract import Status
    from ..pod.paths import PodPaths

MOST_SECONDS = 60.0
LOOK_SECONDS = 0.05
READ_SECONDS = 0.5  # at least so often: a job that was killed writes nothing
_DOCUMENTS = ("exit.json", "ready.json", "attempt.json")


def status_after(paths: PodPaths, run: str, seen: str, seconds: float) -> Status:
    """The first status whose mark is not `seen`; the present one after `seconds`."""
    folder = paths.run_name(run)
    deadline = time.monotonic() + min(seconds, MOST_SECONDS)
    while True:
        times = _times(folder)  # before reading: what changes meanwhile is noticed below
        current = status(paths, run)
        if current.mark != seen:
            return current
        read_again = time.monotonic() + READ_SECONDS
        while _times(folder) == times and time.monotonic() < min(read_again, deadline):
            time.sleep(LOOK_SECONDS)
        if time.monotonic() >= deadline:
            return current if _times(folder) == times else status(paths, run)


def _times(folder: str) -> list[tuple[int, int] | None]:
    """Inode and time of each document; None for one that is not there."""
    times: list[tuple[int, int] | None] = []
    for name in _DOCUMENTS:
        try:
            info = os.stat(f"{folder}/{name}", follow_symlinks=False)
        except OSError:
            times.append(None)
        else:
            times.append((info.st_ino, info.st_mtime_ns))
    return times
