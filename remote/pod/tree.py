"""Files below a folder by paths of any length, and where the links among them lead.

A path that is longer than the system takes in one call is opened some folders at a time.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

STEP = 2048  # bytes of a path that one call is given
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
LOOK: int = getattr(os, "O_PATH", os.O_RDONLY | os.O_NONBLOCK)  # opens nothing, only names it


@contextmanager
def opened(path: Path | bytes, flags: int = FOLDER) -> Iterator[int]:
    """A descriptor for the block."""
    fd = os.open(path, flags | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def reach(top: int, path: bytes, flags: int) -> int:
    """Open `path` below the open folder `top`, through links. Raises OSError."""
    fd, *steps = os.dup(top), *_steps(path)
    try:
        for step in steps[:-1]:
            fd = _onward(fd, step, os.O_RDONLY | os.O_DIRECTORY)
        return os.open(steps[-1], flags | os.O_CLOEXEC, dir_fd=fd)
    finally:
        os.close(fd)


def _onward(fd: int, step: bytes, flags: int) -> int:
    deeper = os.open(step, flags | os.O_CLOEXEC, dir_fd=fd)
    os.close(fd)
    return deeper


def _steps(path: bytes) -> list[bytes]:
    steps = [b""]
    for part in path.split(b"/"):
        if len(steps[-1]) + len(part) > STEP:
            steps.append(part)
        else:
            steps[-1] += (b"/" if steps[-1] else b"") + part
    return steps if steps[0] else [*steps[1:]] or [b"."]


def make_folder(top: int, path: bytes) -> int:
    """Open the folder `path` below `top`, made where it is not there; no link is followed."""
    fd = os.dup(top)
    try:
        for part in filter(None, path.split(b"/")):
            with suppress(FileExistsError):
                os.mkdir(part, 0o777, dir_fd=fd)
            fd = _onward(fd, part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except BaseException:
        os.close(fd)
        raise
    return fd


def real_path(fd: int) -> bytes | None:
    """Where an open file really is, links resolved; None where the system does not tell."""
    try:
        return os.readlink(b"/proc/self/fd/%d" % fd)
    except OSError:
        asked = getattr(fcntl, "F_GETPATH", None)
    try:
        return fcntl.fcntl(fd, asked, bytes(1024)).rstrip(b"\0") if asked else None
    except OSError:
        return None


def is_below(path: bytes | None, home: bytes | None) -> bool:
    """Whether both are known and `path` is `home` or inside it."""
    return path is not None and home is not None and (path + b"/").startswith(home + b"/")
