"""Reads the lock file of the work folder, and makes the copy that uv gets."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from . import requirements
from .contract import digest
from .light_dataclasses import dataclass
from .requirements import Entry

UV_LOCK, PYPROJECT = "uv.lock", "pyproject.toml"
OF_TORCH = re.compile(r"torch|triton|nvidia[-_.].*|pytorch[-_.]triton.*", re.IGNORECASE)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class NoLock(Exception):
    """The lock, or a file that it includes, is not in the work folder; the text is for the user."""


@dataclass(frozen=True)
class Lockfile:
    """`files`: text by path in the work folder, of the lock and all that it includes.

    `beside` are archives that it names. `installed` is a folder that is installed apart from it.
    """

    work: Path
    name: str
    files: dict[str, str]
    beside: tuple[str, ...]
    installed: str | None

    @classmethod
    def read(cls, work: Path, name: str, installed: str | None = None) -> Lockfile:
        """Raises NoLock."""
        files: dict[str, str] = {}
        beside: list[str] = []
        waiting = [name]
        while waiting:
            path = waiting.pop()
            if path in files:
                continue
            files[path] = _text(work, path, "file" if files else "lock file")
            if posixpath.basename(path) in (UV_LOCK, PYPROJECT):
                continue
            for entry in requirements.entries(files[path]):
                place = _place(path, entry)
                if entry.kind in (requirements.FILE, requirements.CONSTRAINT) and place:
                    waiting.append(place)
                elif entry.kind == requirements.PATH and place != installed:
                    beside.append(place)
        return cls(work, name, files, tuple(beside), installed)

    @property
    def source(self) -> Path:
        return self.work / self.name

    @property
    def hashed(self) -> bool:
        """A complete closure: nothing is resolved, nothing unpinned gets in."""
        requires = self.source.name not in (UV_LOCK, PYPROJECT)
        return requires and any("--hash=" in text for text in self.files.values())

    def key(self) -> bytes:
        """The same for the same content."""
        parts = [self.files[path].encode(errors="surrogateescape") for path in sorted(self.files)]
        if len(parts) > 1:
            parts.append("\0".join(sorted(self.files)).encode())
        for path in self.beside:
            try:
                parts.append(digest((self.work / path).read_bytes()).encode())
            except OSError as error:
                raise NoLock(f"{path}, which {self.name} names: {error.strerror}") from None
        return b"\0".join(parts)

    def copy(self, into: Path, *, keep_torch: bool) -> Path:
        """The requirements as files in `into`, less torch where the pod has it; the first one."""
        names = {path: f"requirements-{n}.txt" for n, path in enumerate(self.files) if n}
        names[self.name] = "requirements.txt"
        for path, text in self.files.items():
            lines = "\n".join(self._lines(path, text, {p: into / n for p, n in names.items()}))
            data = f"{lines}\n".encode(errors="surrogateescape")
            (into / names[path]).write_bytes(without_torch(data) if keep_torch else data)
        return into / names[self.name]

    def _lines(self, path: str, text: str, copies: dict[str, Path]) -> Iterator[str]:
        for entry in requirements.entries(text):
            place = _place(path, entry)
            if not place:
                yield entry.text
            elif entry.kind in (requirements.FILE, requirements.CONSTRAINT):
                yield entry.aimed(str(copies[place])).text
            elif entry.kind == requirements.PATH and place == self.installed:
                continue
            else:
                yield entry.aimed(str(self.work / place)).text


def without_torch(lock: bytes) -> bytes:
    """A requirements file less torch and what comes only with it."""
    lines = []
    dropping = False
    for line in lock.decode(errors="surrogateescape").splitlines():
        starts = not line.startswith((" ", "\t")) and line.strip() != ""
        if starts:
            name = NAME.match(line)
            dropping = bool(name and OF_TORCH.fullmatch(name.group()))
        if not dropping:
            lines.append(line)
    return ("\n".join(lines) + "\n").encode(errors="surrogateescape")


def _place(path: str, entry: Entry) -> str:
    """The path in the work folder that an entry of the file `path` names; empty: none."""
    if not entry.local:
        return ""
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), entry.target))


def _text(work: Path, name: str, description: str) -> str:
    path = work / name
    if ".." in Path(name).parts or os.path.isabs(name) or not path.is_file():
        raise NoLock(f"no {description} {name!r} in the work folder")
    return requirements.decoded(path.read_bytes())
