"""Atomic writes and guarded reads of the pod's files."""

from __future__ import annotations

import errno
import os
import stat

from ..contract.codec import MAX_DOCUMENT

TYPE_CHECKING = False  # of `typing`, which a look at the status does without
if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

    StrPath = str | Path

# Nothing is there, or a socket, a device without a driver, a link that leads to itself.
ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ENXIO, errno.ENODEV, errno.ELOOP, errno.ENAMETOOLONG)


def write(path: StrPath, data: bytes, *, sync: bool = True) -> None:
    """Replace `path` by `data` in one step; with `sync` it survives a power cut too.

    Raises OSError (ENOSPC, EDQUOT, EIO …); then the old file is still there.
    """
    from threading import get_native_id  # not needed by the agent's read-only verbs

    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}.{os.getpid()}.{get_native_id()}.tmp")
    try:
        _fill(temporary, data, sync)
        os.replace(temporary, path)
    except OSError:
        if os.path.lexists(temporary):
            os.unlink(temporary)
        raise
    if sync:
        sync_folder(folder or ".")


def _fill(path: StrPath, data: bytes, sync: bool) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        if sync:
            os.fsync(fd)
    finally:
        os.close(fd)


def sync_folder(path: StrPath) -> None:
    """Sync a folder's entries, where the file system supports it."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(fd)


def open_regular(path: StrPath) -> BinaryIO | None:
    """To be read; None when there is no regular file: a job may have put a pipe or a folder there.

    Never waits for whoever is to write into a pipe. Raises OSError (EIO, EACCES …).
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in ABSENT:
            return None
        raise
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return open(fd, "rb")
    os.close(fd)
    return None


def read(path: StrPath, cap: int = MAX_DOCUMENT) -> bytes | None:
    """The file's bytes, at most `cap` + 1 of them; None when it is not there."""
    file = open_regular(path)
    if file is None:
        return None
    with file:
        return file.read(cap + 1)


def tail(path: StrPath, length: int) -> bytes:
    """The last `length` bytes; empty when the file is not there."""
    file = open_regular(path)
    if file is None:
        return b""
    with file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - length))
        return file.read(length)


def append(path: StrPath, line: bytes) -> None:
    """Add one line with a single write."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, line)
    finally:
        os.close(fd)


def sync_disk(folder: Path) -> None:
    """Have everything below `folder` on its disk, with whatever else is on its way there."""
    from contextlib import suppress

    with suppress(OSError, AttributeError, ImportError):
        import ctypes  # few have a use for it, and not every Python has it

        fd = os.open(folder, os.O_RDONLY)
        try:
            ctypes.CDLL(None, use_errno=True).syncfs(fd)
        finally:
            os.close(fd)
