"""Expands the declared paths and globs of a project."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from remote.globs import MAGIC, expression, literal, normal


def is_there(project: Path, pattern: str) -> bool:
    """Whether a path or glob matches anything, whether or not it would be uploaded."""
    return next(expand(project, pattern), None) is not None


def is_plain(project: Path, pattern: str) -> bool:
    return not MAGIC.search(pattern) or os.path.lexists(project / pattern)


def expand(project: Path, pattern: str) -> Iterator[str]:
    """The paths of all files and folders that a declared path or glob matches."""
    plain = normal(pattern).removeprefix("./").rstrip("/")
    plain = "" if plain == "." else plain
    if is_plain(project, plain):
        if os.path.lexists(project / plain):
            yield plain
        return
    prefix = literal(plain)
    tail = plain[len(prefix) :].strip("/")
    if tail == "**":
        if (project / prefix).is_dir():
            yield prefix
        return
    rule = expression(plain)
    max_depth = None if "**" in tail.split("/") else plain.count("/")
    yield from _matches(project, prefix, rule, max_depth)


def _matches(
    project: Path, folder: str, rule: re.Pattern[str], max_depth: int | None
) -> Iterator[str]:
    try:
        with os.scandir(project / folder) as entries:
            children = sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return
    for child in children:
        path = f"{folder}/{child.name}" if folder else child.name
        if rule.fullmatch(path):
            yield path
        elif child.is_dir(follow_symlinks=False) and (
            max_depth is None or path.count("/") < max_depth
        ):
            yield from _matches(project, path, rule, max_depth)
