"""Resolves the symbolic links of an upload."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

FILE, FOLDER, NOTHING, LOOP, OUTSIDE, ODD = "file", "folder", "nothing", "loop", "outside", "odd"
REASONS = {
    NOTHING: "a link to nothing",
    LOOP: "a link that is part of a loop",
    OUTSIDE: "a link that leads out of the project",
    ODD: "neither a file nor a folder",
}


@dataclass(frozen=True)
class Target:
    """What a path resolves to. `path` is relative to the project; empty for a target outside it."""

    kind: str
    source: Path
    path: str = ""


def follow(project: Path, path: str) -> Target:
    """Resolves `path`, following links as long as they stay inside the project."""
    root = project.resolve()
    try:
        source = (root / path).resolve(strict=True)
    except RuntimeError:  # a loop, as Python 3.11 reports it
        return Target(LOOP, root / path)
    except OSError as error:
        return _broken(root, root / path, error)
    if not source.is_relative_to(root):
        return Target(OUTSIDE, source)
    inside = source.relative_to(root).as_posix()
    inside = "" if inside == "." else inside
    if source.is_dir():
        parent = (root / path).parent.resolve()
        looped = (root / path).is_symlink() and parent.is_relative_to(source)
        return Target(LOOP if looped else FOLDER, source, inside)
    return Target(FILE if source.is_file() else ODD, source, inside)


def _broken(root: Path, link: Path, error: OSError) -> Target:
    """Classifies a link that does not resolve: dangling, outside the project, or a loop."""
    if "loop" in str(error).lower() or "Too many levels" in str(error):
        return Target(LOOP, link)
    try:
        destination = Path(os.path.realpath(link))
    except OSError:
        return Target(NOTHING, link)
    return Target(NOTHING if destination.is_relative_to(root) else OUTSIDE, destination)
