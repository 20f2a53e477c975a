"""Space reserved on the volume, so that the end of a job that fills it can be recorded."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

SIZE = 64 * 1024 * 1024  # bytes; less on a small volume
SHARE = 50  # at most a fiftieth of what is free
PROBE = 64 * 1024  # bytes that a volume with room takes


class DiskReserve:
    """A file of real blocks, given back before the last records are written."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def take(self) -> None:
        """Reserve the space; nothing on a volume that is full already."""
        info = os.statvfs(self._path.parent)
        size = min(SIZE, info.f_bavail * info.f_frsize // SHARE)
        with contextlib.suppress(OSError), self._path.open("wb") as file:
            if size > 0:
                os.posix_fallocate(file.fileno(), 0, size)

    def disk_full(self) -> bool:
        """Whether a small write fails; a quota shows only in a write."""
        probe = self._path.with_name("reserve.probe")
        try:
            with probe.open("wb") as file:
                file.write(os.urandom(PROBE))
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            return True
        finally:
            with contextlib.suppress(OSError):
                probe.unlink()
        return False

    def release(self) -> None:
        with contextlib.suppress(OSError):
            self._path.unlink()
