"""Moving and placing files, also from one file system to another: no byte is ever at stake.

Across file systems a file is copied beside its new place, synced, read back and compared, given
its name, and only then taken away from where it was. No link is followed.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from state.atomic_files import sync_folder
from state.file_sync import sync_file

CHUNK = 4 * 1024 * 1024
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
NEW_FILE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_LINK = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EACCES, errno.ENOSYS)


@dataclass(frozen=True)
class Destination:
    """A name in an open folder."""

    folder: int
    name: str

    def about(self) -> os.stat_result | None:
        """What stands there itself; None when nothing does."""
        try:
            return os.stat(self.name, dir_fd=self.folder, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def measure(self) -> tuple[int, str]:
        """Size and sha256 of the regular file there. Raises OSError."""
        with os.fdopen(os.open(self.name, READ, dir_fd=self.folder), "rb", buffering=0) as file:
            return os.fstat(file.fileno()).st_size, hashlib.file_digest(file, "sha256").hexdigest()


def move(source: Destination, target: Path) -> None:
    """Give what is at `source` the free name `target`. Raises OSError; then it is still there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.rename(source.name, target, src_dir_fd=source.folder)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _across(source, target)
    sync_file(source.folder)
    sync_folder(target.parent)


def move_path(source: Path, target: Path) -> None:
    """The same, by a path of which the folders are known to be sound."""
    fd = os.open(source.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        move(Destination(fd, source.name), target)
    finally:
        os.close(fd)


def _across(source: Destination, target: Path) -> None:
    info = source.about()
    if info is not None and stat.S_ISLNK(info.st_mode):
        os.symlink(os.readlink(source.name, dir_fd=source.folder), target)
    elif info is not None and stat.S_ISREG(info.st_mode):
        above = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            beside = _beside(above)
            _copy_to(os.open(source.name, READ, dir_fd=source.folder), beside)
            os.replace(beside.name, target.name, src_dir_fd=above, dst_dir_fd=above)
        finally:
            os.close(above)
    else:
        text = "only files and links move to another file system"
        raise OSError(errno.EXDEV, text, source.name)
    sync_folder(target.parent)
    os.unlink(source.name, dir_fd=source.folder)


def place(source: Path, target: Destination) -> None:
    """Have the file `source` at `target` too: as one more name of it, or else as a copy.

    What stood at `target` is replaced whole.
    """
    beside = _beside(target.folder)
    try:
        os.link(source, beside.name, dst_dir_fd=target.folder, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        _copy_to(os.open(source, READ), beside)
    os.replace(beside.name, target.name, src_dir_fd=target.folder, dst_dir_fd=target.folder)
    sync_file(target.folder)


def copy(source: Path, target: Destination) -> None:
    """Have what is in the file `source` at `target` too, as a file of its own."""
    beside = _beside(target.folder)
    _copy_to(os.open(source, READ), beside)
    os.replace(beside.name, target.name, src_dir_fd=target.folder, dst_dir_fd=target.folder)
    sync_file(target.folder)


def _beside(folder: int) -> Destination:
    """A name that nothing has, short whatever the file's own name is."""
    return Destination(folder, f".podctl-{secrets.token_hex(8)}.new")


def _copy_to(source: int, target: Destination) -> None:
    """Copy an open file, on the disk and compared; closes it."""
    sent = hashlib.sha256()
    try:
        with (
            os.fdopen(source, "rb", buffering=0) as old,
            os.fdopen(os.open(target.name, NEW_FILE, 0o600, dir_fd=target.folder), "w+b") as new,
        ):
            info = os.fstat(old.fileno())
            while data := old.read(CHUNK):
                sent.update(data)
                new.write(data)
            new.flush()
            os.fchmod(new.fileno(), stat.S_IMODE(info.st_mode))
            os.utime(new.fileno(), ns=(info.st_atime_ns, info.st_mtime_ns))
            sync_file(new.fileno())
            new.seek(0)
            if hashlib.file_digest(new, "sha256").digest() != sent.digest():
                raise OSError(errno.EIO, "what was written is not what was read", target.name)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(target.name, dir_fd=target.folder)
        raise


def free_name(path: Path) -> Path:
    """`path`, or the first name after it that nothing has; a long name gives way to a short."""
    number, found = 0, path
    while os.path.lexists(found):
        number += 1
        stem = path.name if len(os.fsencode(path.name)) < 240 else path.name[:60]
        found = path.with_name(f"{stem}~{number}")
    return found
