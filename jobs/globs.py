"""Matches paths and globs below a folder of pulled files.

A glob is matched part by part, `**` for any depth. No link is ever followed.
"""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

from .format_check import InvalidFile

MAGIC = re.compile(r"[*?\[]")
RECEIVING = ".partial"  # at the top: what is on its way here, and no artifact
MOST_NEAR = 3  # names that are shown where one is not there


def is_glob(path: str) -> bool:
    return bool(MAGIC.search(path))


def file_at(relative: str, root: Path) -> Path:
    """A regular file below `root`, reached without any link."""
    path = root / relative
    if not _inside(path, root) or not path.is_file():
        raise InvalidFile(f"no such file{near(relative, root)}")
    return path


def near(relative: str, root: Path) -> str:
    """A hint that lists similar names; empty when there are none."""
    import difflib

    names = [path.relative_to(root).as_posix() for path in below(root)]
    like = difflib.get_close_matches(relative, names, n=MOST_NEAR, cutoff=0.7)
    return f"; there is {', '.join(like)}" if like else ""


def is_folder(relative: str, root: Path) -> bool:
    path = root / relative
    return _inside(path, root) and path.is_dir()


def _inside(path: Path, root: Path) -> bool:
    """No part between `root` and `path` is a symbolic link."""
    parts = path.relative_to(root).parts
    return not any(root.joinpath(*parts[: n + 1]).is_symlink() for n in range(len(parts)))


def below(folder: Path) -> Iterable[Path]:
    """Every regular file below `folder`, sorted by name in each folder."""
    for place, folders, names in os.walk(folder, followlinks=False):
        folders[:] = sorted(name for name in folders if Path(place, name) != folder / RECEIVING)
        for name in sorted(names):
            path = Path(place, name)
            if not path.is_symlink() and path.is_file():
                yield path


def matches(pattern: str, root: Path) -> list[Path]:
    """Regular files below `root` that match the glob or have the path; sorted."""
    if not is_glob(pattern):
        try:
            return [file_at(pattern, root)]
        except InvalidFile:
            return []
    wanted = _parts(pattern)
    return [
        path
        for path in below(root)
        if globbed(path.relative_to(root).as_posix().split("/"), wanted)
    ]


def newest(paths: Iterable[Path]) -> Path:
    """The last by name where numbers count as numbers: checkpoint-1000 after checkpoint-200."""
    return max(paths, key=lambda path: _natural(path.as_posix()))


def _natural(text: str) -> tuple[tuple[int, int, str], ...]:
    pieces = re.findall(r"[0-9]+|[^0-9]+", text)
    return tuple(
        (1, int(piece[:400]), "") if piece[0].isascii() and piece.isdigit() else (0, 0, piece)
        for piece in pieces
    )


def _parts(pattern: str) -> list[str]:
    return pattern.removeprefix("./").rstrip("/").split("/")


def globbed(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether the parts of a path match the parts of a glob."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        rest = pattern[1:] or ["*"]
        return any(globbed(parts[n:], rest) for n in range(len(parts)))
    return (
        bool(parts)
        and fnmatch.fnmatchcase(parts[0], pattern[0])
        and globbed(parts[1:], pattern[1:])
    )


def could_meet(pattern: str, output: str) -> bool:
    """Whether some path could match both a criterion's path and a glob of the outputs.

    An output without wildcards is that file, or everything below that folder; so is the path of a
    criterion. Says yes where it cannot tell.
    """
    return any(
        _meet(tuple(first), tuple(second))
        for first in _readings(pattern)
        for second in _readings(output)
    )


def _readings(pattern: str) -> list[list[str]]:
    parts = [part for part in _parts(pattern) if part != "."]
    if not parts or pattern.endswith("/"):
        return [[*parts, "**"]]
    return [parts] if is_glob(parts[-1]) else [parts, [*parts, "**"]]


@lru_cache(maxsize=4096)
def _meet(first: tuple[str, ...], second: tuple[str, ...]) -> bool:
    if not first or not second:
        return all(part == "**" for part in (*first, *second))
    if first[0] == "**":
        return _meet(first[1:], second) or _meet(first, second[1:])
    if second[0] == "**":
        return _meet(first, second[1:]) or _meet(first[1:], second)
    return _names_meet(first[0], second[0]) and _meet(first[1:], second[1:])


def _names_meet(first: str, second: str) -> bool:
    """Whether some name could match both patterns of one part."""
    if not is_glob(first):
        return fnmatch.fnmatchcase(first, second) if is_glob(second) else first == second
    if not is_glob(second):
        return fnmatch.fnmatchcase(second, first)
    return _overlap(_tokens(first), _tokens(second))


def _tokens(pattern: str) -> tuple[str, ...]:
    """Characters, `*`, and `?` also for every set of characters."""
    tokens = re.findall(r"\[!?\]?[^\]]*\]|.", pattern, re.DOTALL)
    return tuple("?" if len(token) > 1 else token for token in tokens)


@lru_cache(maxsize=4096)
def _overlap(first: tuple[str, ...], second: tuple[str, ...]) -> bool:
    if not first or not second:
        return all(sign == "*" for sign in (*first, *second))
    if first[0] == "*":
        return _overlap(first[1:], second) or _overlap(first, second[1:])
    if second[0] == "*":
        return _overlap(first, second[1:]) or _overlap(first[1:], second)
    same = "?" in (first[0], second[0]) or first[0] == second[0]
    return same and _overlap(first[1:], second[1:])
