"""Paths and globs below a folder of pulled files: what is there, what is newest, what could be.

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
    """What is there with a similar name, in words; empty where nothing is."""
    import difflib

    there = [path.relative_to(root).as_posix() for path in below(root)]
    like = difflib.get_close_matches(relative, there, n=MOST_NEAR, cutoff=0.7)
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
        folders[:] = sorted(one for one in folders if Path(place, one) != folder / RECEIVING)
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
        (1, int(one[:400]), "") if one[0].isascii() and one.isdigit() else (0, 0, one)
        for one in pieces
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
        _meet(tuple(one), tuple(two)) for one in _readings(pattern) for two in _readings(output)
    )


def _readings(pattern: str) -> list[list[str]]:
    parts = [part for part in _parts(pattern) if part != "."]
    if not parts or pattern.endswith("/"):
        return [[*parts, "**"]]
    return [parts] if is_glob(parts[-1]) else [parts, [*parts, "**"]]


@lru_cache(maxsize=4096)
def _meet(one: tuple[str, ...], two: tuple[str, ...]) -> bool:
    if not one or not two:
        return all(part == "**" for part in (*one, *two))
    if one[0] == "**":
        return _meet(one[1:], two) or _meet(one, two[1:])
    if two[0] == "**":
        return _meet(one, two[1:]) or _meet(one[1:], two)
    return _names_meet(one[0], two[0]) and _meet(one[1:], two[1:])


def _names_meet(one: str, two: str) -> bool:
    """Whether some name could match both patterns of one part."""
    if not is_glob(one):
        return fnmatch.fnmatchcase(one, two) if is_glob(two) else one == two
    if not is_glob(two):
        return fnmatch.fnmatchcase(two, one)
    return _overlap(_tokens(one), _tokens(two))


def _tokens(pattern: str) -> tuple[str, ...]:
    """Characters, `*`, and `?` also for every set of characters."""
    found = re.findall(r"\[!?\]?[^\]]*\]|.", pattern, re.DOTALL)
    return tuple("?" if len(one) > 1 else one for one in found)


@lru_cache(maxsize=4096)
def _overlap(one: tuple[str, ...], two: tuple[str, ...]) -> bool:
    if not one or not two:
        return all(sign == "*" for sign in (*one, *two))
    if one[0] == "*":
        return _overlap(one[1:], two) or _overlap(one, two[1:])
    if two[0] == "*":
        return _overlap(one, two[1:]) or _overlap(one[1:], two)
    same = "?" in (one[0], two[0]) or one[0] == two[0]
    return same and _overlap(one[1:], two[1:])
