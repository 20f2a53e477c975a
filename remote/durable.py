"""Files that are complete or absent, whatever dies in between."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

from .contract import MAX_DOCUMENT


def write(path: Path, data: bytes, *, sync: bool = True) -> None:
    """Replace `path` by `data` in one step; with `sync` it survives a power cut too.

    Raises OSError (ENOSPC, EDQUOT, EIO …); then the old file is still there.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_native_id()}.tmp")
    try:
        _fill(temporary, data, sync)
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    if sync:
        sync_folder(path.parent)


def _fill(path: Path, data: bytes, sync: bool) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        if sync:
            os.fsync(fd)
    finally:
        os.close(fd)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable; file systems that cannot are left alone."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(fd)


def read(path: Path, cap: int = MAX_DOCUMENT) -> bytes | None:
    """The file's bytes, at most `cap` + 1 of them; None when it is not there."""
    try:
        with path.open("rb") as file:
            return file.read(cap + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None


def tail(path: Path, length: int) -> bytes:
    """The last `length` bytes; empty when the file is not there."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - length))
            return file.read(length)
    except (FileNotFoundError, NotADirectoryError):
        return b""


def append(path: Path, line: bytes) -> None:
    """Add one line with a single write."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, line)
    finally:
        os.close(fd)
