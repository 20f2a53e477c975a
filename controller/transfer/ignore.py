"""What ignore files keep at home: .podctlignore always, .gitignore where git cannot be asked."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterator
from pathlib import Path

from pathspec import GitIgnoreSpec

from controller.errors import UsageError

GIT, OURS = ".gitignore", ".podctlignore"
NEVER = (".git", ".git/", ".hg/", ".svn/", ".podctl/")  # whoever tracks them
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
MOST = 4 * 1024 * 1024  # bytes of an ignore file
_WIDE = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


class Ignores:
    """The ignore files of a project, read folder by folder as the walk meets them.

    `above` are the folders from the project's up to that of its repository, nearest first: where
    git cannot be asked, its rules there hold here too.
    """

    def __init__(self, project: Path, above: tuple[Path, ...] = ()) -> None:
        self._project = project
        self._above = above
        self._always = GitIgnoreSpec.from_lines(ALWAYS)
        self._never = GitIgnoreSpec.from_lines(NEVER)
        self._specs: dict[Path, GitIgnoreSpec | None] = {}

    def never(self, path: str, *, tracked: bool = False) -> bool:
        """Whether `path` is of a kind that stays here: git's own, caches, environments. Files of
        the latter that somebody put under version control are no such kind."""
        return bool((self._never if tracked else self._always).match_file(path))

    def hidden(self, path: str, *, git: bool = False) -> str:
        """The ignore file that keeps `path` here, or a folder above it; a folder ends in `/`."""
        names = (GIT, OURS) if git else (OURS,)
        for name in names:
            if any(self._says(name, part) for part in _and_above(path)):
                return name
        return ""

    def _says(self, name: str, path: str) -> bool:
        """The deepest ignore file that has an opinion decides, as git has it."""
        parts = path.rstrip("/").split("/")
        for depth in range(len(parts) - 1, -1, -1):
            base = "/".join(parts[:depth])
            verdict = self._verdict(
                self._project / base / name, path[len(base) + 1 :] if base else path
            )
            if verdict is not None:
                return verdict
        return bool(name == GIT and self._says_above(path))

    def _says_above(self, path: str) -> bool | None:
        for folder in self._above:
            below = self._project.relative_to(folder).as_posix()
            places = [folder / GIT]
            if folder == self._above[-1]:
                places += [folder / ".git/info/exclude", _personal()]
            for place in places:
                relative = path if below == "." else f"{below}/{path}"
                if (verdict := self._verdict(place, relative)) is not None:
                    return verdict
        return None

    def _verdict(self, file: Path, path: str) -> bool | None:
        if file not in self._specs:
            lines = read_lines(file)
            self._specs[file] = None if lines is None else GitIgnoreSpec.from_lines(lines)
        spec = self._specs[file]
        return None if spec is None else spec.check_file(path).include


def _and_above(path: str) -> Iterator[str]:
    """Every folder above `path`, outermost first, then `path`."""
    parts = path.rstrip("/").split("/")
    yield from ("/".join(parts[:depth]) + "/" for depth in range(1, len(parts)))
    yield path


def _personal() -> Path:
    """Where git looks for a person's own rules when no setting says otherwise."""
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(home) / "git/ignore"


def read_lines(path: Path) -> list[str] | None:
    """The lines of an ignore file, whatever editor saved it; None where there is none.

    Raises UsageError for one that cannot be read: what it would keep here is not known.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MOST + 1)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except OSError as error:
        raise unreadable(path, error.strerror or str(error)) from error
    if len(raw) > MOST:
        raise unreadable(path, f"it is over {MOST} bytes")
    encoding = _WIDE.get(raw[:2], "utf-8-sig")
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise unreadable(path, f"line {line} is not {encoding.removesuffix('-sig')}") from error
    if "\0" in text:
        raise unreadable(path, "it is no text")
    return [line.removesuffix("\r") for line in text.split("\n")]


def check_for_git(path: Path) -> None:
    """Raises UsageError for a .gitignore in an encoding that git takes for nothing at all."""
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError:
        return
    if head[:2] in _WIDE or b"\0" in head:
        raise unreadable(path, "it is UTF-16 or no text, of which git reads no rule")


def unreadable(path: Path, why: str) -> UsageError:
    return UsageError(
        f"{path.name} cannot be read, so podctl cannot know which files must not be sent",
        where=str(path),
        cause=why,
        hint="save it as UTF-8",
    )
