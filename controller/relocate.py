"""Moving and placing files, also from one file system to another: no byte is ever at stake.

Across file systems a file is copied beside its new place, synced, read back and compared, given
its name, and only then taken away from where it was.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from pathlib import Path

from state.durable import sync_folder

CHUNK = 4 * 1024 * 1024
_BESIDE = ".podctl-new"  # short, whatever the file's own name is
_NO_LINK = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EACCES, errno.ENOSYS)


def move(source: Path, target: Path) -> None:
    """Give what is at `source` the free name `target`. Raises OSError; then it is still there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _across(source, target)
    sync_folder(target.parent)
    sync_folder(source.parent)


def _across(source: Path, target: Path) -> None:
    if source.is_symlink():
        os.symlink(os.readlink(source), target)
    elif stat.S_ISREG(source.lstat().st_mode):
        copy(source, target)
    else:
        raise OSError(errno.EXDEV, "only files and links move to another file system", str(source))
    sync_folder(target.parent)
    os.unlink(source)


def place(source: Path, target: Path) -> None:
    """Have the file `source` at `target` too: as one more name of it, or else as a copy.

    What stood at `target` is replaced whole.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = _beside(target)
    try:
        os.link(source, beside, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        _copy_to(source, beside)
    os.replace(beside, target)
    sync_folder(target.parent)


def copy(source: Path, target: Path) -> None:
    """A copy of `source` under the name `target`, on the disk and compared."""
    beside = _beside(target)
    _copy_to(source, beside)
    os.replace(beside, target)


def _beside(target: Path) -> Path:
    beside = target.with_name(_BESIDE)
    beside.unlink(missing_ok=True)
    return beside


def _copy_to(source: Path, target: Path) -> None:
    read = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    made = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    sent = hashlib.sha256()
    try:
        with (
            os.fdopen(os.open(source, read), "rb", buffering=0) as old,
            os.fdopen(os.open(target, made, 0o600), "w+b") as new,
        ):
            info = os.fstat(old.fileno())
            while data := old.read(CHUNK):
                sent.update(data)
                new.write(data)
            new.flush()
            os.fchmod(new.fileno(), stat.S_IMODE(info.st_mode))
            os.utime(new.fileno(), ns=(info.st_atime_ns, info.st_mtime_ns))
            os.fsync(new.fileno())
            new.seek(0)
            if hashlib.file_digest(new, "sha256").digest() != sent.digest():
                raise OSError(errno.EIO, "what was written is not what was read", str(target))
    except BaseException:
        with contextlib.suppress(OSError):
            target.unlink(missing_ok=True)
        raise


def free_name(path: Path) -> Path:
    """`path`, or the first name after it that nothing has; a long name gives way to a short."""
    number, found = 0, path
    while os.path.lexists(found):
        number += 1
        stem = path.name if len(os.fsencode(path.name)) < 240 else path.name[:60]
        found = path.with_name(f"{stem}~{number}")
    return found
