"""Ignore rules of an upload: .podctlignore always, .gitignore where git is unavailable."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterator
from pathlib import Path

from pathspec import GitIgnoreSpec

from controller.errors import UsageError

GIT, OURS = ".gitignore", ".podctlignore"
NEVER = (".git", ".git/", ".hg/", ".svn/", ".podctl/")  # even when tracked
ALWAYS = (
    *NEVER,
    "__pycache__/",
    "*.pyc",
    ".venv/",
    "venv/",
    ".mypy_cache/",
    ".ruff_cache/",
    ".pytest_cache/",
    ".ipynb_checkpoints/",
    ".DS_Store",
)
MAX_BYTES = 4 * 1024 * 1024  # of an ignore file
_WIDE = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


class Ignores:
    """The ignore files of a project, read when the walk reaches their folder.

    `parents` are the folders from the project up to the root of its repository, nearest first:
    where git is unavailable, the .gitignore rules of these folders apply too.
    """

    def __init__(self, project: Path, parents: tuple[Path, ...] = ()) -> None:
        self._project = project
        self._parents = parents
        self._always = GitIgnoreSpec.from_lines(ALWAYS)
        self._never = GitIgnoreSpec.from_lines(NEVER)
        self._specs: dict[Path, GitIgnoreSpec | None] = {}

    def never(self, path: str, *, tracked: bool = False) -> bool:
        """Whether `path` is never uploaded: version control data, caches, environments. Caches and
        environments that are under version control are uploaded."""
        return bool((self._never if tracked else self._always).match_file(path))

    def hidden(self, path: str, *, git: bool = False) -> str:
        """The name of the ignore file that excludes `path` or one of its parents; empty if none
        does.

        A folder's path ends in `/`. `git`: whether .gitignore applies as well.
        """
        names = (GIT, OURS) if git else (OURS,)
        for name in names:
            if any(self._ignores(name, part) for part in _and_above(path)):
                return name
        return ""

    def _ignores(self, name: str, path: str) -> bool:
        """The deepest ignore file with a matching rule decides, as in git."""
        parts = path.rstrip("/").split("/")
        for depth in range(len(parts) - 1, -1, -1):
            base = "/".join(parts[:depth])
            verdict = self._verdict(
                self._project / base / name, path[len(base) + 1 :] if base else path
            )
            if verdict is not None:
                return verdict
        return bool(name == GIT and self._parents_ignore(path))

    def _parents_ignore(self, path: str) -> bool | None:
        for folder in self._parents:
            subpath = self._project.relative_to(folder).as_posix()
            files = [folder / GIT]
            if folder == self._parents[-1]:
                files += [folder / ".git/info/exclude", _user_ignore_file()]
            for file in files:
                relative = path if subpath == "." else f"{subpath}/{path}"
                if (verdict := self._verdict(file, relative)) is not None:
                    return verdict
        return None

    def _verdict(self, file: Path, path: str) -> bool | None:
        if file not in self._specs:
            lines = read_lines(file)
            self._specs[file] = None if lines is None else GitIgnoreSpec.from_lines(lines)
        spec = self._specs[file]
        return None if spec is None else spec.check_file(path).include


def _and_above(path: str) -> Iterator[str]:
    """Every parent folder of `path`, outermost first, then `path`."""
    parts = path.rstrip("/").split("/")
    yield from ("/".join(parts[:depth]) + "/" for depth in range(1, len(parts)))
    yield path


def _user_ignore_file() -> Path:
    """Git's default location of the user's own ignore rules."""
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(home) / "git/ignore"


def read_lines(path: Path) -> list[str] | None:
    """The lines of an ignore file in UTF-8 or UTF-16; None if the file does not exist.

    Raises UsageError for a file that cannot be read, because its rules are unknown.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except OSError as error:
        raise unreadable(path, error.strerror or str(error)) from error
    if len(raw) > MAX_BYTES:
        raise unreadable(path, f"it is over {MAX_BYTES} bytes")
    encoding = _WIDE.get(raw[:2], "utf-8-sig")
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise unreadable(path, f"line {line} is not {encoding.removesuffix('-sig')}") from error
    if "\0" in text:
        raise unreadable(path, "it is not a text file")
    return [line.removesuffix("\r") for line in text.split("\n")]


def check_for_git(path: Path) -> None:
    """Raises UsageError for a .gitignore in an encoding that git does not support."""
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError:
        return
    if head[:2] in _WIDE or b"\0" in head:
        raise unreadable(path, "it is UTF-16 or binary, and git cannot read rules from it")


def unreadable(path: Path, cause: str) -> UsageError:
    return UsageError(
        f"{path.name} cannot be read, so podctl cannot know which files must not be sent",
        where=str(path),
        cause=cause,
        hint="save it as UTF-8",
    )
