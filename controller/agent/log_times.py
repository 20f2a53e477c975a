"""When parts of a job's log were read, so that `podctl logs --since` finds where they begin.

A job's log has no times of its own. While podctl follows it, `job.log.times` beside the copy gets a
line "UNIX_SECONDS OFFSET" now and then: up to OFFSET, the log had been written at that time.
"""

from __future__ import annotations

import os
from pathlib import Path

SUFFIX = ".times"
EVERY_SECONDS = 5.0  # between two lines
MAX_BYTES = 8 * 1024 * 1024  # of the file; then it begins anew


def _times(log: Path) -> Path:
    return log.with_name(log.name + SUFFIX)


def note(log: Path, offset: int, now: float) -> None:
    """Record that `log` had `offset` bytes at `now`, unless a line is that new already."""
    path = _times(log)
    try:
        known = path.lstat()
        if 0.0 <= now - known.st_mtime < EVERY_SECONDS:
            return
        fresh = known.st_size > MAX_BYTES
    except OSError:
        fresh = True
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    flags |= os.O_TRUNC if fresh else os.O_APPEND
    descriptor = os.open(path, flags, 0o600)
    try:
        os.write(descriptor, f"{now:.0f} {offset}\n".encode())
    finally:
        os.close(descriptor)


def offset_at(log: Path, moment: float) -> int:
    """How many bytes of `log` had certainly been written by `moment`; 0 when that is unknown."""
    try:
        lines = _times(log).read_bytes().splitlines()
    except OSError:
        return 0
    known = 0
    for line in lines:
        at, _, offset = line.partition(b" ")
        if at.isdigit() and offset.isdigit() and int(at) <= moment:
            known = int(offset)
    return known


def forget(log: Path) -> None:
    """The copy is of another log from now on."""
    _times(log).unlink(missing_ok=True)
