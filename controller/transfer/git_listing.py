"""What git itself says belongs to a folder: tracked files, and those that nothing ignores.

A repository's own settings start no program here: hooks, a file-system monitor, pagers and fetching
of missing objects are off, and git has a deadline.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from controller.credentials.secret import for_children

SECONDS = 60.0  # for one question, of a repository on a slow disk
SAFE = (
    *("-c", "core.fsmonitor=false"),
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "core.sshCommand=false"),
    *("-c", "core.askPass="),
)
SUBMODULE = "160000"  # git's mode of a folder that is a repository of its own


class GitUnavailable(Exception):
    """Git does not say; the text is why."""


@dataclass(frozen=True)
class Listing:
    """Paths below the folder that was asked about, relative to it."""

    tracked: frozenset[str]
    untracked: frozenset[str]  # and not ignored
    repositories: frozenset[str]  # folders with a repository of their own, submodules among them


def repository_of(folder: Path) -> Path | None:
    """The nearest folder from here upwards with a `.git`; None: no repository holds it."""
    here = folder.resolve()
    return next(
        (folder for folder in (here, *here.parents) if os.path.lexists(folder / ".git")), None
    )


def list_files(folder: Path) -> Listing:
    """What git has below `folder`, by every rule that it knows. Raises GitSilent."""
    if _is_foreign(folder):
        raise GitUnavailable("")
    repositories: set[str] = set()
    tracked: set[str] = set()
    untracked: set[str] = set()
    for row in _names(_ask(folder, "ls-files", "-s", "-z", "--", ".")):
        about, _, path = row.partition("\t")
        (repositories if about.startswith(SUBMODULE) else tracked).add(path)
    others = _ask(folder, "ls-files", "-o", "--exclude-standard", "-z", "--", ".")
    for path in _names(others):
        (repositories if path.endswith("/") else untracked).add(path.rstrip("/"))
    return Listing(frozenset(tracked), frozenset(untracked), frozenset(repositories))


def _is_foreign(folder: Path) -> bool:
    """Whether the repository ignores the whole folder: a home folder's, which tracks a few files
    of a person's, says nothing about a project below it."""
    if not _ask(folder, "rev-parse", "--show-prefix").strip():
        return False
    return bool(ignored(folder, ["."])) and not _ask(folder, "ls-files", "-z", "--", ".")


def ignored(folder: Path, paths: Iterable[str]) -> set[str]:
    """Which of `paths` git's rules ignore, tracked or not; a folder's path may end in `/`."""
    wanted = b"".join(os.fsencode(path) + b"\0" for path in paths)
    if not wanted:
        return set()
    argv = ("check-ignore", "--no-index", "--stdin", "-z")
    return set(_names(_ask(folder, *argv, sent=wanted, codes=(0, 1))))


def ignored_entries(folder: Path) -> list[str]:
    """Files and whole folders, these with `/`, that git ignores below `folder`."""
    argv = ("ls-files", "-o", "-i", "--exclude-standard", "--directory", "-z", "--", ".")
    return sorted(_names(_ask(folder, *argv)))


def _names(answer: bytes) -> list[str]:
    return [os.fsdecode(part) for part in answer.split(b"\0") if part]


def _ask(
    folder: Path, *words: str, sent: bytes | None = None, codes: tuple[int, ...] = (0,)
) -> bytes:
    try:
        done = subprocess.run(
            ["git", "--no-pager", "--no-optional-locks", *SAFE, *words],  # noqa: S607 - the user's
            cwd=folder,
            env=_environment(),
            input=sent if sent is not None else b"",
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except FileNotFoundError as error:
        raise GitUnavailable("git is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise GitUnavailable(f"git did not answer within {SECONDS:.0f} s") from error
    except OSError as error:
        raise GitUnavailable(f"git cannot be started: {error.strerror}") from error
    told = done.stderr.decode(errors="replace").strip()
    if done.returncode not in codes or "could not open directory" in told:
        raise GitUnavailable(told.splitlines()[0] if told else f"git ended with {done.returncode}")
    return done.stdout


def _environment() -> dict[str, str]:
    """Without a caller's repository (a hook has one); a person's own git settings stay."""
    kept = {
        name: value
        for name, value in for_children().items()
        if not name.startswith("GIT_") or name.startswith("GIT_CONFIG")
    }
    return kept | {
        "GIT_ALLOW_PROTOCOL": "",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
    }
