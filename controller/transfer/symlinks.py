"""What a symbolic link in the upload stands for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

FILE, FOLDER, NOTHING, LOOP, OUTSIDE, ODD = "file", "folder", "nothing", "loop", "outside", "odd"
REASONS = {
    NOTHING: "a link to nothing",
    LOOP: "a link that leads round in a circle",
    OUTSIDE: "a link that leads out of the project",
    ODD: "neither a file nor a folder",
}


@dataclass(frozen=True)
class Target:
    """Where a path ends up. `path` is relative to the project, for a file or folder inside it."""

    kind: str
    source: Path
    path: str = ""


def follow(project: Path, path: str) -> Target:
    """What is at `path`, links in it and of it followed as far as they stay in the project."""
    home = project.resolve()
    try:
        source = (home / path).resolve(strict=True)
    except RuntimeError:  # of a loop, as Python 3.11 has it
        return Target(LOOP, home / path)
    except OSError as error:
        return _broken(home, home / path, error)
    if not source.is_relative_to(home):
        return Target(OUTSIDE, source)
    inside = source.relative_to(home).as_posix()
    inside = "" if inside == "." else inside
    if source.is_dir():
        parent = (home / path).parent.resolve()
        looped = (home / path).is_symlink() and parent.is_relative_to(source)
        return Target(LOOP if looped else FOLDER, source, inside)
    return Target(FILE if source.is_file() else ODD, source, inside)


def _broken(home: Path, place: Path, error: OSError) -> Target:
    """A link to nothing here, to nothing elsewhere, or round in a circle."""
    if "loop" in str(error).lower() or "Too many levels" in str(error):
        return Target(LOOP, place)
    try:
        end = Path(os.path.realpath(place))
    except OSError:
        return Target(NOTHING, place)
    return Target(NOTHING if end.is_relative_to(home) else OUTSIDE, end)
