"""What lies in a work folder: regular files, links that stand for them, and what is neither.

A link is what it leads to, under its own name, as long as that is inside the work folder: so are
model caches made. One that leads out is never followed. A link that leads nowhere, or back to a
folder above itself, has no content and loses none; neither has a pipe, a socket or a device.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from ..contract import MAX_FILES
from ..light_dataclasses import dataclass
from ..names import OURS, raw, text, wrong
from . import tree

LEADS_OUT = "a link that leads out of the work folder"
NOWHERE = "a link to nothing"
LOOPS = "a link to a folder that it is in itself"
NO_FILE = "a pipe, socket or device"
CLOSED = "it cannot be read"
TOO_MANY_LINKED = "one of too many folders behind links"
MAX_LINKED = MAX_FILES  # folders that are walked through links: links may fan out without end


@dataclass(frozen=True)
class Found:
    """One regular file as it lies there; `identity` changes whenever the bytes may have."""

    path: str  # relative to the work folder; a link's own
    size: int  # bytes
    identity: tuple[int, int, int, int]  # device, inode, size, mtime in ns


@dataclass(frozen=True)
class Without:
    """A name under which no file travels. `lost`: there is content, and it is only there."""

    path: str
    why: str
    lost: bool
    outside: bytes = b""  # the folder that the link leads to


def identity(info: os.stat_result) -> tuple[int, int, int, int]:
    return info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns


@dataclass(frozen=True)
class _Folder:
    """A folder on the way; `above` are those that it is in, by device and inode."""

    path: bytes
    key: tuple[int, int]
    above: _Folder | None
    linked: bool = False  # reached through a link

    def within(self, key: tuple[int, int]) -> bool:
        folder: _Folder | None = self
        while folder is not None and folder.key != key:
            folder = folder.above
        return folder is not None


Seen = Found | Without | _Folder


class Walk:
    """One look at a work folder, open as `top`."""

    def __init__(self, work: Path, top: int) -> None:
        self._top = top
        self._home = tree.real_path(top) or os.fsencode(os.path.realpath(work))
        self._linked = 0

    def below(self, start: str) -> Iterator[Found | Without]:
        """Everything at or below work/start, each folder's names in order."""
        parts = [part for part in start.split("/") if part not in ("", ".")]
        if ".." in parts or start.startswith("/"):
            return
        pending = [iter(self._first([raw(part) for part in parts]))]
        while pending:
            entry = next(pending[-1], None)
            if entry is None:
                pending.pop()
            elif isinstance(entry, _Folder):
                pending.append(iter(self._list(entry)))
            else:
                yield entry

    def _first(self, parts: list[bytes]) -> list[Seen]:
        """What `parts` lead to: nothing, or one thing."""
        folder: Seen = _Folder(b"", _key(os.fstat(self._top)), None)
        for part in parts:
            if not isinstance(folder, _Folder):
                return [folder] if isinstance(folder, Without) else []
            try:
                fd = tree.reach(self._top, folder.path, tree.FOLDER)
            except OSError:
                return []
            try:
                entry = self._entry_at(fd, folder, part)
            finally:
                os.close(fd)
            if entry is None:
                return []
            folder = entry
        return [folder]

    def _list(self, folder: _Folder) -> list[Seen]:
        self._linked += folder.linked
        if self._linked > MAX_LINKED:
            return [Without(text(folder.path), TOO_MANY_LINKED, True)]
        try:
            fd = tree.reach(self._top, folder.path, tree.FOLDER)
        except (FileNotFoundError, NotADirectoryError):  # gone meanwhile
            return []
        except OSError:
            return [Without(text(folder.path), CLOSED, True)]
        try:
            names = sorted(map(os.fsencode, os.listdir(fd)))
            entries = (self._entry_at(fd, folder, name) for name in names)
            return [entry for entry in entries if entry is not None]
        finally:
            os.close(fd)

    def _entry_at(self, fd: int, folder: _Folder, name: bytes) -> Seen | None:
        """What stands under one name in the open folder `fd`; None when it is gone, or ours."""
        path = folder.path + b"/" + name if folder.path else name
        if path == OURS.encode():
            return None
        try:
            info = os.stat(name, dir_fd=fd, follow_symlinks=False)
        except OSError:
            return None
        if stat.S_ISLNK(info.st_mode):
            return self._link(fd, folder, name, path)
        return self._plain(folder, path, info, linked=folder.linked)

    def _plain(self, folder: _Folder, path: bytes, info: os.stat_result, *, linked: bool) -> Seen:
        if stat.S_ISDIR(info.st_mode):
            return _Folder(path, _key(info), folder, linked)
        if not stat.S_ISREG(info.st_mode):
            return Without(text(path), NO_FILE, False)
        if why := wrong(text(path)):
            return Without(text(path), why, True)
        return Found(text(path), info.st_size, identity(info))

    def _link(self, fd: int, folder: _Folder, name: bytes, path: bytes) -> Seen:
        try:
            target = os.open(name, tree.LOOK | os.O_CLOEXEC, dir_fd=fd)
        except OSError as error:
            return Without(text(path), *_WHY.get(error.errno or 0, (CLOSED, True)))
        try:
            info, real = os.fstat(target), tree.real_path(target)
        finally:
            os.close(target)
        inside = tree.is_below(real, self._home)
        if stat.S_ISDIR(info.st_mode):
            if inside and folder.within(_key(info)):
                return Without(text(path), LOOPS, False)
            if not inside:
                return Without(text(path), LEADS_OUT, True, real or b"")
        elif stat.S_ISREG(info.st_mode) and not inside:
            return Without(text(path), LEADS_OUT, True)
        return self._plain(folder, path, info, linked=True)


_WHY = {
    errno.ENOENT: (NOWHERE, False),
    errno.ENOTDIR: (NOWHERE, False),
    errno.ELOOP: (LOOPS, False),
    errno.ENXIO: (NO_FILE, False),
}


def _key(info: os.stat_result) -> tuple[int, int]:
    return info.st_dev, info.st_ino
