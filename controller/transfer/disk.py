"""Reports problems of the local disk as errors with a remedy.

None of them is a reason to terminate a pod: downloaded files are kept, the rest is still on the
pod.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from controller.errors import ArtifactsNotSafe, PodctlError, local_limit

SLACK = 4 * 1024 * 1024  # bytes for the file system's metadata
RERUN_HINT = "then run the same command again: it continues where it stopped"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class LocalDiskFull(ArtifactsNotSafe):
    """The local disk is too full for the files on the pod. Files downloaded so far are kept."""

    code = "local-disk-full"

    def __init__(self, missing_bytes: int, where: str, missing_files: int = 0) -> None:
        lacks = f"{missing_bytes} bytes" if missing_bytes else f"room for {missing_files} names"
        super().__init__(
            f"the local disk lacks {lacks} for the files on the pod",
            where=where,
            cause=""
            if missing_bytes
            else "the disk has free bytes but no free inodes: too many small files",
            hint=f"free some space, {RERUN_HINT}",
        )
        self.missing_bytes = missing_bytes
        self.missing_files = missing_files


class LocalDiskClosed(ArtifactsNotSafe):
    """The local disk cannot be written: read-only, failing, no permission, or a path is blocked."""

    code = "local-disk-closed"


def check_space(where: Path, fd: int, need_bytes: int, need_files: int) -> None:
    """Raises LocalDiskFull when `need_bytes` and `need_files` do not fit on the disk of folder
    `fd`."""
    space = os.fstatvfs(fd)
    free = space.f_bavail * space.f_frsize
    if need_bytes and need_bytes + SLACK > free:
        raise LocalDiskFull(need_bytes + SLACK - free, str(where))
    # Some file systems allocate inodes on demand and report none.
    if space.f_files and need_files > space.f_favail:
        raise LocalDiskFull(0, str(where), need_files - space.f_favail)


def disk_trouble(
    error: OSError, where: Path, need_bytes: int = 0, need_files: int = 1
) -> PodctlError:
    """Translates `error`, raised while writing below `where`, into a PodctlError."""
    if error.errno in _FULL:
        return _full(where, need_bytes, need_files)
    return local_limit(error) or LocalDiskClosed(
        "cannot write the files from the pod to the local disk",
        where=error.filename if isinstance(error.filename, str) else str(where),
        cause=error.strerror or str(error),
        hint=f"make the disk writable, {RERUN_HINT}",
    )


def _full(folder: Path, need_bytes: int, need_files: int) -> LocalDiskFull:
    try:
        space = os.statvfs(_nearest_existing(folder))
    except OSError:
        return LocalDiskFull(max(1, need_bytes), str(folder))
    free = space.f_bavail * space.f_frsize
    if space.f_files and not space.f_favail and free >= SLACK:
        return LocalDiskFull(0, str(folder), max(1, need_files))
    return LocalDiskFull(max(1, need_bytes + SLACK - free), str(folder))


def _nearest_existing(path: Path) -> Path:
    """`path`, or its nearest parent folder that exists."""
    return next((folder for folder in (path, *path.parents) if folder.exists()), path)


@contextlib.contextmanager
def writing(where: Path, remaining_bytes: Callable[[], int] = lambda: 0) -> Iterator[None]:
    """Turns errors of the disk below `where` into LocalDiskFull, LocalDiskClosed or LocalLimit.

    `remaining_bytes()` returns how many bytes are still to be written.
    """
    try:
        yield
    except OSError as error:
        raise disk_trouble(error, where, remaining_bytes()) from error
