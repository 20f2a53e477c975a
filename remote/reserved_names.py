"""Names that podctl and git keep for themselves: no upload carries them, no job's output is one."""

from __future__ import annotations

STATE = ".podctl"  # podctl's own folder in a project
FOLDERS = (".git", STATE, "locks")  # at the top of the project
FILES = ("podctl.toml", "status.md", ".gitignore", ".podctlignore", ".gitattributes")


def reserved(path: str) -> bool:
    """Whether podctl or git own the name, also on a file system that ignores case."""
    first, _, rest = path.casefold().partition("/")
    return first in FOLDERS or (not rest and first in FILES)
