"""Which files below the work folder a job declared as its outputs.

Regular files only. No symbolic link is followed, neither a file nor a folder on the way, so that
nothing outside the work folder can be named.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .contract import MAX_FILES
from .globs import Globs
from .reserved import reserved

OURS = ".podctl"  # what the controller itself put into the work folder


@dataclass(frozen=True)
class Found:
    """One output as it lies there; `identity` changes whenever the bytes may have."""

    path: str  # relative to the work folder
    size: int  # bytes
    identity: tuple[int, int, int, int]  # device, inode, size, mtime in ns


class TooMany(Exception):
    """More than `MAX_FILES` files match."""


def find(work: Path, patterns: tuple[str, ...]) -> dict[str, Found]:
    """Every declared output by its path, sorted. Raises `TooMany`."""
    found: dict[str, Found] = {}
    globs = Globs(patterns)
    for start in globs.starts:
        for one in _walk(work, start):
            if globs.match(one.path) and not reserved(one.path):
                found[one.path] = one
            if len(found) > MAX_FILES:
                raise TooMany(f"more than {MAX_FILES} files match the declared outputs")
    return dict(sorted(found.items()))


def unfit(work: Path, patterns: tuple[str, ...]) -> tuple[str, ...]:
    """Declared outputs that cannot travel, escaped to ASCII and with the reason; at most 100.

    A link to what is itself an output loses nothing, so it is not among them.
    """
    globs = Globs(patterns)
    whole = find(work, patterns)
    found = set()
    home = os.path.realpath(work)
    for start in globs.starts:
        # Nothing outside the work folder, or behind a link, is anybody's output.
        if start.startswith("/") or ".." in start.split("/"):
            continue
        if os.path.realpath(work / start) != str(Path(home, start)):
            continue
        for place, folders, names in os.walk(work / start, followlinks=False):
            for name in (*names, *folders):
                path = Path(place, name)
                text = str(path.relative_to(work))
                if globs.match(text) and text not in whole:
                    found.update(_why_unfit(work, path, text, whole))
    return tuple(sorted(found)[:100])


def _why_unfit(work: Path, path: Path, text: str, whole: dict[str, Found]) -> list[str]:
    if reserved(text):
        return []
    if path.is_symlink():
        target = os.path.relpath(os.path.realpath(path), os.path.realpath(work))
        inside = target in whole or any(one.startswith(f"{target}/") for one in whole)
        return [] if inside else [f"{text!a}: a symbolic link"]
    if path.is_dir():
        return []
    return [f"{text!a}: {'a name that cannot travel' if path.is_file() else 'no file'}"]


def missing(patterns: tuple[str, ...], paths: list[str]) -> list[str]:
    """The patterns that no file matches."""
    return Globs(patterns).missing(paths)


def _walk(work: Path, start: str) -> Iterator[Found]:
    """Regular files at or below work/start, reached without any link."""
    parts = [p for p in start.split("/") if p]
    if ".." in parts or start.startswith("/"):
        return
    for depth in range(len(parts)):
        try:
            mode = (work / "/".join(parts[: depth + 1])).lstat().st_mode
        except OSError:
            return
        if not stat.S_ISDIR(mode):
            if stat.S_ISREG(mode) and depth == len(parts) - 1:
                yield from _regular(work, "/".join(parts))
            return
    yield from _below(work, "/".join(parts))


def _below(work: Path, folder: str) -> Iterator[Found]:
    try:
        with os.scandir(work / folder) as listing:
            entries = sorted(listing, key=lambda e: e.name)
    except OSError:  # gone meanwhile
        return
    for entry in entries:
        path = f"{folder}/{entry.name}" if folder else entry.name
        if entry.is_dir(follow_symlinks=False):
            if path != OURS:
                yield from _below(work, path)
        elif entry.is_file(follow_symlinks=False):
            yield from _regular(work, path)


def _regular(work: Path, path: str) -> Iterator[Found]:
    try:
        info = (work / path).lstat()
    except OSError:
        return
    if stat.S_ISREG(info.st_mode) and speakable(path):
        yield Found(path, info.st_size, identity(info))


def identity(info: os.stat_result) -> tuple[int, int, int, int]:
    return info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns


def speakable(path: str) -> bool:
    """Names with control characters or broken UTF-8 would be refused at the other side."""
    return path.isprintable() and len(path.encode("utf-8", "surrogateescape")) <= 1024
