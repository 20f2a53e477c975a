"""Size and hash of what lies at some paths of a work folder, wherever links lead.

For what the agent may not send by itself: the user fetches it by hand, and this tells whether
what came is what is here.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from ..names import raw, text
from . import tree

CHUNK = 1024 * 1024  # bytes
MOST = 100_000  # files


def measure(work: Path, paths: list[str], beat: Callable[[], None]) -> list[tuple[str, int, str]]:
    """(path, size, sha256) of every regular file at or below `paths`, as many as `MOST`."""
    measured: list[tuple[str, int, str]] = []
    with tree.opened(work) as top:
        for path in _files(top, paths):
            try:
                fd = tree.reach(top, path, os.O_RDONLY | os.O_NONBLOCK)
            except OSError:
                continue
            with os.fdopen(fd, "rb", buffering=0) as file:
                if stat.S_ISREG(os.fstat(fd).st_mode) and len(measured) < MOST:
                    measured.append((text(path), *_hash(file.read, beat)))
    return measured


def _hash(read: Callable[[int], bytes], beat: Callable[[], None]) -> tuple[int, str]:
    sha, size = hashlib.sha256(), 0
    while data := read(CHUNK):
        sha.update(data)
        size += len(data)
        beat()
    return size, sha.hexdigest()


def _files(top: int, paths: list[str]) -> Iterator[bytes]:
    """Every name at or below `paths` that is no folder; a folder is entered once."""
    pending, entered = [raw(path) for path in reversed(paths)], set[tuple[int, int]]()
    while pending:
        path = pending.pop()
        try:
            fd = tree.reach(top, path, tree.FOLDER)
        except OSError:
            yield path
            continue
        try:
            info = os.fstat(fd)
            if (info.st_dev, info.st_ino) not in entered:
                entered.add((info.st_dev, info.st_ino))
                names = sorted(map(os.fsencode, os.listdir(fd)), reverse=True)
                pending += [path + b"/" + name for name in names]
        finally:
            os.close(fd)
