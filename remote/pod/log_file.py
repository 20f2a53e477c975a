"""A job's log: one growing file, bounded on disk, in which byte offsets never move.

The job appends to it directly, so it outlives the supervisor. When it grows over its cap the
*head* is freed by punching a hole: sizes and offsets stay, the old bytes are gone. `log.base`
says where the readable part begins.
"""

from __future__ import annotations

import os

from . import atomic_files

TYPE_CHECKING = False  # of `typing`, which a look at the status does without
if TYPE_CHECKING:
    from pathlib import Path

    from .atomic_files import StrPath

BLOCK = 4096
PUNCH_HOLE, KEEP_SIZE = 2, 1  # linux/falloc.h


def base(log: StrPath) -> int:
    """The first offset that can still be read."""
    data = atomic_files.read(os.path.join(os.path.dirname(log), "log.base"), 64)
    try:
        return min(max(0, int(data or b"0")), size(log))
    except ValueError:
        return 0


def size(log: StrPath) -> int:
    try:
        return os.stat(log).st_size
    except OSError as error:
        if error.errno in atomic_files.ABSENT:
            return 0
        raise


def slice_at(log: StrPath, offset: int, limit: int) -> tuple[int, int, int, bytes]:
    """(offset, size, base, bytes) from `offset` on, at most `limit`; starts at the base at least.

    A hole punched while reading is noticed: the bytes are exact or not returned.
    """
    while True:
        first = base(log)
        start = max(offset, first)
        file = atomic_files.open_regular(log)
        if file is None:
            return offset, 0, 0, b""
        with file:
            end = file.seek(0, os.SEEK_END)
            file.seek(start)
            data = file.read(min(limit, max(0, end - start)))
        if base(log) <= start:
            return start, end, first, data


def trim(log: Path, cap: int) -> bool:
    """Free the head when more than `cap` bytes are held; False where the disk cannot do that."""
    first, end = base(log), size(log)
    if end - first <= cap:
        return True
    cut = (end - cap // 2) // BLOCK * BLOCK
    if cut <= first:
        return True
    # The base first: a reader must never take the hole's zeros for text.
    atomic_files.write(log.with_name("log.base"), b"%d\n" % cut, sync=False)
    if _punch(log, cut):
        return True
    from contextlib import suppress

    with suppress(OSError):
        atomic_files.write(log.with_name("log.base"), b"%d\n" % first, sync=False)
    return False


def _punch(log: Path, length: int) -> bool:
    """Free the first `length` bytes."""
    import ctypes  # only the supervisor needs it; the agent must start quickly

    libc = ctypes.CDLL(None, use_errno=True)
    try:
        call = libc.fallocate64 if hasattr(libc, "fallocate64") else libc.fallocate
    except AttributeError:
        return False
    call.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    with log.open("r+b") as file:
        return int(call(file.fileno(), PUNCH_HOLE | KEEP_SIZE, 0, length)) == 0
