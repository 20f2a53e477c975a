"""The paths that a declared path or glob means in a project."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from remote.globs import MAGIC, expression, literal, normal


def is_there(project: Path, pattern: str) -> bool:
    """Whether something is at a path or glob; what of it would be sent is not asked."""
    return next(expand(project, pattern), None) is not None


def is_plain(project: Path, pattern: str) -> bool:
    return not MAGIC.search(pattern) or os.path.lexists(project / pattern)


def expand(project: Path, pattern: str) -> Iterator[str]:
    """The paths, of files and folders, that a declared path or glob means."""
    plain = normal(pattern).removeprefix("./").rstrip("/")
    plain = "" if plain == "." else plain
    if is_plain(project, plain):
        if os.path.lexists(project / plain):
            yield plain
        return
    start = literal(plain)
    rest = plain[len(start) :].strip("/")
    if rest == "**":
        if (project / start).is_dir():
            yield start
        return
    rule = expression(plain)
    deep = None if "**" in rest.split("/") else plain.count("/")
    yield from _matches(project, start, rule, deep)


def _matches(project: Path, folder: str, rule: re.Pattern[str], deep: int | None) -> Iterator[str]:
    try:
        with os.scandir(project / folder) as entries:
            children = sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return
    for child in children:
        path = f"{folder}/{child.name}" if folder else child.name
        if rule.fullmatch(path):
            yield path
        elif child.is_dir(follow_symlinks=False) and (deep is None or path.count("/") < deep):
            yield from _matches(project, path, rule, deep)
