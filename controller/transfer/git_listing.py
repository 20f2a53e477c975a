"""Lists the files of a folder with git: tracked files, and untracked ones that are not ignored.

The settings of a repository cannot start programs: hooks, file-system monitor, pagers and fetching
of missing objects are off, and git has a deadline.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from controller.credentials.secret import for_children

SECONDS = 60.0  # for one git command, in a repository on a slow disk
SAFE = (
    *("-c", "core.fsmonitor=false"),
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "core.sshCommand=false"),
    *("-c", "core.askPass="),
)
SUBMODULE = "160000"  # git's mode of a folder that is a repository of its own


class GitUnavailable(Exception):
    """Git could not list the files; the text is the reason."""


@dataclass(frozen=True)
class Listing:
    """Paths below the listed folder, relative to it."""

    tracked: frozenset[str]
    untracked: frozenset[str]  # and not ignored
    repositories: frozenset[str]  # folders with a repository of their own, submodules among them


def repository_of(folder: Path) -> Path | None:
    """The nearest folder from `folder` upwards with a `.git`; None outside of a repository."""
    start = folder.resolve()
    return next(
        (folder for folder in (start, *start.parents) if os.path.lexists(folder / ".git")), None
    )


def list_files(folder: Path) -> Listing:
    """The files below `folder`, by all of git's ignore rules. Raises GitUnavailable."""
    if _is_foreign(folder):
        raise GitUnavailable("")
    repositories: set[str] = set()
    tracked: set[str] = set()
    untracked: set[str] = set()
    for row in _names(_git(folder, "ls-files", "-s", "-z", "--", ".")):
        mode, _, path = row.partition("\t")
        (repositories if mode.startswith(SUBMODULE) else tracked).add(path)
    others = _git(folder, "ls-files", "-o", "--exclude-standard", "-z", "--", ".")
    for path in _names(others):
        (repositories if path.endswith("/") else untracked).add(path.rstrip("/"))
    return Listing(frozenset(tracked), frozenset(untracked), frozenset(repositories))


def _is_foreign(folder: Path) -> bool:
    """Whether the repository ignores the whole folder. A repository in the home folder that tracks
    dot files does not describe a project below it."""
    if not _git(folder, "rev-parse", "--show-prefix").strip():
        return False
    return bool(ignored(folder, ["."])) and not _git(folder, "ls-files", "-z", "--", ".")


def ignored(folder: Path, paths: Iterable[str]) -> set[str]:
    """The members of `paths` that git's rules ignore, tracked or not; a folder may end in `/`."""
    stdin = b"".join(os.fsencode(path) + b"\0" for path in paths)
    if not stdin:
        return set()
    argv = ("check-ignore", "--no-index", "--stdin", "-z")
    return set(_names(_git(folder, *argv, stdin=stdin, codes=(0, 1))))


def ignored_entries(folder: Path) -> list[str]:
    """Files and folders (with a trailing `/`) below `folder` that git ignores."""
    argv = ("ls-files", "-o", "-i", "--exclude-standard", "--directory", "-z", "--", ".")
    return sorted(_names(_git(folder, *argv)))


def _names(output: bytes) -> list[str]:
    return [os.fsdecode(part) for part in output.split(b"\0") if part]


def _git(
    folder: Path, *arguments: str, stdin: bytes | None = None, codes: tuple[int, ...] = (0,)
) -> bytes:
    try:
        result = subprocess.run(
            ["git", "--no-pager", "--no-optional-locks", *SAFE, *arguments],  # noqa: S607 - the user's
            cwd=folder,
            env=_environment(),
            input=stdin if stdin is not None else b"",
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except FileNotFoundError as error:
        raise GitUnavailable("git is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise GitUnavailable(f"git did not respond within {SECONDS:.0f} s") from error
    except OSError as error:
        raise GitUnavailable(f"git cannot be started: {error.strerror}") from error
    stderr = result.stderr.decode(errors="replace").strip()
    if result.returncode not in codes or "could not open directory" in stderr:
        raise GitUnavailable(
            stderr.splitlines()[0] if stderr else f"git ended with {result.returncode}"
        )
    return result.stdout


def _environment() -> dict[str, str]:
    """The environment without a calling git hook's repository, but with the user's git settings."""
    inherited = {
        name: value
        for name, value in for_children().items()
        if not name.startswith("GIT_") or name.startswith("GIT_CONFIG")
    }
    return inherited | {
        "GIT_ALLOW_PROTOCOL": "",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
    }
