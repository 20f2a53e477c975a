"""What can be wrong with the disk here, said so that one knows what to do about it.

Never a reason to give a pod up: what came so far is kept, and the rest is still on the pod.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from controller.errors import ArtifactsNotSafe, PodctlError, local_limit

SLACK = 4 * 1024 * 1024  # bytes for the file system's own books
AGAIN = "then run the same command again: it goes on where it stopped"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class LocalDiskFull(ArtifactsNotSafe):
    """The disk here cannot take what is on the pod. What came so far is kept for the next try."""

    code = "local-disk-full"

    def __init__(self, missing_bytes: int, where: str, missing_files: int = 0) -> None:
        lacks = f"{missing_bytes} bytes" if missing_bytes else f"room for {missing_files} names"
        super().__init__(
            f"the disk here lacks {lacks} for the files that are on the pod",
            where=where,
            cause="" if missing_bytes else "it has bytes left and no inodes: too many small files",
            hint=f"free some space, {AGAIN}",
        )
        self.missing_bytes = missing_bytes
        self.missing_files = missing_files


class LocalDiskClosed(ArtifactsNotSafe):
    """The disk here takes no writes: read-only, failing, not ours, or something is in the way."""

    code = "local-disk-closed"


def check_space(where: Path, fd: int, need_bytes: int, need_files: int) -> None:
    """Raises LocalDiskFull when so much more does not fit below the open folder `fd`."""
    space = os.fstatvfs(fd)
    free = space.f_bavail * space.f_frsize
    if need_bytes and need_bytes + SLACK > free:
        raise LocalDiskFull(need_bytes + SLACK - free, str(where))
    # Some file systems make inodes as they need them and count none.
    if space.f_files and need_files > space.f_favail:
        raise LocalDiskFull(0, str(where), need_files - space.f_favail)


def disk_trouble(
    error: OSError, where: Path, need_bytes: int = 0, need_files: int = 1
) -> PodctlError:
    """`error`, met while writing below `where`, as what the disk lacks or refuses."""
    if error.errno in _FULL:
        return _full(where, need_bytes, need_files)
    return local_limit(error) or LocalDiskClosed(
        "the files from the pod cannot be written here",
        where=error.filename if isinstance(error.filename, str) else str(where),
        cause=error.strerror or str(error),
        hint=f"make the disk writable, {AGAIN}",
    )


def _full(where: Path, need_bytes: int, need_files: int) -> LocalDiskFull:
    try:
        space = os.statvfs(_standing(where))
    except OSError:
        return LocalDiskFull(max(1, need_bytes), str(where))
    free = space.f_bavail * space.f_frsize
    if space.f_files and not space.f_favail and free >= SLACK:
        return LocalDiskFull(0, str(where), max(1, need_files))
    return LocalDiskFull(max(1, need_bytes + SLACK - free), str(where))


def _standing(path: Path) -> Path:
    """`path`, or the nearest folder above that is there."""
    return next((folder for folder in (path, *path.parents) if folder.exists()), path)


@contextlib.contextmanager
def writing(where: Path, need: Callable[[], int] = lambda: 0) -> Iterator[None]:
    """Turns errors of the disk below `where` into LocalDiskFull, LocalDiskClosed or LocalLimit.

    `need()` says how many bytes are still to come.
    """
    try:
        yield
    except OSError as error:
        raise disk_trouble(error, where, need()) from error
