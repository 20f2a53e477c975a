"""Atomic file replacement, and private folders (mode 0700)."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from state.errors import StateError
from state.file_sync import sync_file


def write_atomically(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace `path` by `data` atomically: temporary file, fsync, rename, fsync of the folder.

    The temporary name is fixed per process: a killed writer leaves at most one stray file.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)  # whatever the umask
            file.write(data)
            file.flush()
            sync_file(file.fileno())
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames and new names in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        sync_file(descriptor)
    finally:
        os.close(descriptor)


def private_directory(folder: Path) -> None:
    """Create `folder` as 0700, or check that only we can write there. Raises StateError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    refuse_foreign(folder)
    if stat.S_IMODE(folder.stat().st_mode) != 0o700:
        folder.chmod(0o700)


def refuse_foreign(path: Path) -> None:
    """Raise StateError when `path` belongs to, or can be written by, anybody else."""
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        raise StateError(f"{path} is a symbolic link", hint=f"put a real one there: rm {path}")
    if status.st_uid != os.geteuid():
        raise StateError(
            f"{path} belongs to user {status.st_uid}, and you are {os.geteuid()}",
            hint="run podctl as its owner",
        )
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise StateError(f"{path} can be written by other users", hint=f"chmod go-w {path}")
