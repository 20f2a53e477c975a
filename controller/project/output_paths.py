"""The way from the project's folder to where an output stands: no link on it leads out unasked.

Every folder is opened from the one above, without following links. A link is followed only where
it leads inside the project, or where the user allowed it by `podctl allow-link`: that word is kept
in the user's own configuration, which no clone brings along, and holds for one target.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from controller.errors import UsageError
from remote.names import encode
from remote.reserved_names import FOLDERS as RESERVED_FOLDERS
from remote.tool_files import is_repository
from state.atomic_files import private_directory, write_atomically

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
Aside = Callable[[int, str, str], None]  # what stands in the way: open folder, name, path


class LinkOutOfProject(UsageError):
    """An output's folder is a link out of the project that nobody allowed."""

    code = "link-leads-out"

    def __init__(self, link: str, target: str) -> None:
        super().__init__(
            f"{encode(link)} is a link that leads out of the project",
            where=encode(target),
            cause="what a pod sends would be written there",
            hint=f"podctl allow-link {encode(link)}, if that is your own folder for it",
        )


@dataclass(frozen=True)
class OutputPaths:
    """The project's folder, and the links out of it that may be followed."""

    root: Path
    allowed: Mapping[str, str]  # path of the link → where it leads

    @classmethod
    def of(cls, root: Path) -> OutputPaths:
        return cls(root, allowed_links(root))

    def check(self, patterns: Iterable[str]) -> None:
        """Raises LinkLeadsOut for a link among the folders that an output names."""
        for pattern in patterns:
            if pattern.startswith("!"):
                continue
            fixed = re.split(r"[*?\[]", pattern.removeprefix("!").removeprefix("./"))[0]
            parts = [part for part in fixed.split("/") if part not in ("", ".")]
            for depth in range(1, len(parts) + 1):
                link = "/".join(parts[:depth])
                here = self.root / link
                if here.is_symlink() and not here.is_file() and not self.permits(link):
                    raise LinkOutOfProject(link, self.target(link))

    def target(self, link: str) -> str:
        return os.path.realpath(self.root / link)

    def permits(self, link: str) -> bool:
        """Whether what stands below this link may be written."""
        target, home = self.target(link), os.path.realpath(self.root)
        if target.startswith(f"{home}/"):
            inside = target.removeprefix(f"{home}/").split("/")
            own = inside[0].casefold() in RESERVED_FOLDERS
            return not own and not any(map(is_repository, inside))
        return self.allowed.get(link) == target

    def leads_out(self, path: str) -> bool:
        """Whether a link that nobody allowed is on the way to `path`, or is it."""
        parts = path.split("/")
        every = ("/".join(parts[:depth]) for depth in range(1, len(parts) + 1))
        return any((self.root / one).is_symlink() and not self.permits(one) for one in every)

    @contextlib.contextmanager
    def opened(self, path: str, aside: Aside | None = None) -> Iterator[tuple[int, str]]:
        """The open folder that holds `path`, and the last name.

        With `aside` folders are made, and what is in the way is handed to it. Without, raises
        OSError where the way does not go on, LinkLeadsOut where it leads out.
        """
        *folders, name = path.split("/")
        fd = os.open(self.root, FOLDER & ~os.O_NOFOLLOW)
        try:
            for depth, part in enumerate(folders, 1):
                deeper = self._deeper(fd, part, "/".join(folders[:depth]), aside)
                os.close(fd)
                fd = deeper
            yield fd, name
        finally:
            os.close(fd)

    def _deeper(self, fd: int, part: str, path: str, aside: Aside | None) -> int:
        mode = _mode(fd, part)
        if mode is not None and stat.S_ISLNK(mode):
            if self.permits(path):
                return _open_real(self.target(path))
            if aside is None:
                raise LinkOutOfProject(path, self.target(path))
        if aside is not None:
            if mode is not None and not stat.S_ISDIR(mode):
                aside(fd, part, path)
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, dir_fd=fd)
        return os.open(part, FOLDER, dir_fd=fd)


def _mode(fd: int, name: str) -> int | None:
    try:
        return os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return None


def _open_real(path: str) -> int:
    """A folder by a path without links: one that appears meanwhile is not followed."""
    fd = os.open("/", FOLDER)
    try:
        for part in filter(None, path.split("/")):
            deeper = os.open(part, FOLDER, dir_fd=fd)
            os.close(fd)
            fd = deeper
    except BaseException:
        os.close(fd)
        raise
    return fd


# -- what the user allowed -----------------------------------------------------------------------


def allowed_file() -> Path:
    """In the user's own configuration."""
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    return Path(home) / "podctl" / "links.json"


def allowed_links(root: Path) -> dict[str, str]:
    """Link to target, for this project's folder; nothing where the file cannot be read."""
    found = _read().get(os.path.realpath(root), {})
    return {str(link): str(target) for link, target in found.items()}


def allow(root: Path, link: str) -> str:
    """Remember that `link` may lead where it leads now; returns that. Raises StateError."""
    home, every = os.path.realpath(root), _read()
    target = os.path.realpath(root / link)
    every.setdefault(home, {})[link] = target
    private_directory(allowed_file().parent)
    write_atomically(allowed_file(), json.dumps(every, indent=1, sort_keys=True).encode() + b"\n")
    return target


def _read() -> dict[str, dict[str, str]]:
    try:
        info = os.stat(allowed_file())
        found = json.loads(allowed_file().read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    ours = info.st_uid == os.geteuid() and not info.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if not ours or not isinstance(found, dict):
        return {}
    return {root: links for root, links in found.items() if isinstance(links, dict)}
