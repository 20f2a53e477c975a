"""Chooses the local names of a job's files: their own, wherever the file system can hold them.

A name that the file system cannot hold (too long, or with unsupported characters), or that equals
another name on it, is replaced by an escaped one: its plain characters, `~`, twelve digits of the
sha256 of the name, and its extension. The local manifest and the certificate record the mapping.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import shutil
import tempfile
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from controller.transfer.manifest_check import STAGING
from remote.names import raw

MARGIN = 48  # bytes of a path reserved for temporary names
KEPT_BYTES = 200  # of the first folders of a path that is too long
STEM = 60  # characters of the name that an escaped name keeps
ESCAPED = STEM + 30  # bytes of an escaped name, at most
MAX_DEPTH = 200  # nested folders: many tools cannot walk more
PLAIN = re.compile(r"[^A-Za-z0-9._=+,@ -]")
EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,12}")
SPECIAL = re.compile(
    r"(?is)(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\u00b9\u00b2\u00b3])( *[.:].*)?"
    r'|.*[\x00-\x1f\\:*?"<>|].*|.*[ .]'
)


@dataclass(frozen=True)
class FileSystem:
    """Limits of a file system's names. `longest` is the bytes of a path below the target folder."""

    longest: int = 4096
    part: int = 255  # bytes of one name
    folds_case: bool = False
    normalises: bool = False
    utf8_only: bool = False
    plain_only: bool = False  # rejects the characters and names that Windows rejects

    def holds(self, part: str) -> bool:
        if len(raw(part)) > self.part:
            return False
        if self.utf8_only and any("\ud800" <= character <= "\udfff" for character in part):
            return False
        return not (self.plain_only and SPECIAL.fullmatch(part))

    def folded(self, part: str) -> str:
        """A key that is equal for names that this file system does not distinguish."""
        if self.normalises:
            part = unicodedata.normalize("NFC", part)
        if self.folds_case:
            part = unicodedata.normalize("NFC", part).casefold()
            part = unicodedata.normalize("NFC", part) if self.normalises else part
        return part

    def combined_with(self, other: FileSystem) -> FileSystem:
        """The limits of both file systems."""
        return FileSystem(
            min(self.longest, other.longest),
            min(self.part, other.part),
            self.folds_case or other.folds_case,
            self.normalises or other.normalises,
            self.utf8_only or other.utf8_only,
            self.plain_only or other.plain_only,
        )


def common_file_system(folders: Iterable[Path], also: Iterable[Path] = ()) -> FileSystem:
    """The limits for names that fit below every one of `folders` and on the file systems of
    `also`."""
    limits, by_device = FileSystem(), dict[int, FileSystem]()
    for folder in folders:
        file_system = _file_system_of(folder, by_device)
        longest = file_system.longest - len(os.fsencode(folder.absolute())) - MARGIN
        limits = limits.combined_with(replace(file_system, longest=longest))
    for folder in also:
        limits = limits.combined_with(
            replace(_file_system_of(folder, by_device), longest=limits.longest)
        )
    return limits


def _file_system_of(folder: Path, by_device: dict[int, FileSystem]) -> FileSystem:
    existing = next(parent for parent in (folder, *folder.parents) if parent.is_dir())
    device = existing.stat().st_dev
    if device not in by_device:
        by_device[device] = probe(existing, device)
    return by_device[device]


@functools.cache
def probe(folder: Path, _device: int) -> FileSystem:
    """Probe the file system of `folder` by creating files; assume no limits if it is read-only."""
    try:
        part, longest = os.pathconf(folder, "PC_NAME_MAX"), os.pathconf(folder, "PC_PATH_MAX")
    except (OSError, ValueError):
        part, longest = 255, 1024
    file_system = FileSystem(longest, part)
    try:
        scratch = tempfile.mkdtemp(prefix=".podctl-names-", dir=folder)
    except OSError:
        return file_system
    try:
        return _probed(os.fsencode(scratch), file_system)
    except OSError:
        return file_system
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _probed(scratch: bytes, file_system: FileSystem) -> FileSystem:
    def creates(name: bytes) -> bool:
        try:
            with open(scratch + b"/" + name, "xb"):
                return name in os.listdir(scratch)
        except OSError:
            return False

    composed, decomposed = "\u00e9".encode(), "e\u0301".encode()
    creates(b"case")
    creates(composed)
    return replace(
        file_system,
        folds_case=os.path.lexists(scratch + b"/CASE"),
        normalises=os.path.lexists(scratch + b"/" + decomposed),
        utf8_only=not creates(b"\xff"),
        plain_only=not all(
            map(creates, (b"a:b?", b"tail.", b"tail ", b"aux.json", b"line\nbreak"))
        ),
    )


def local_names(paths: Iterable[str], file_system: FileSystem) -> dict[str, str]:
    """Maps each path that cannot be kept to its local path. Pure."""
    allocator = _NameAllocator(file_system)
    local_paths = {path: allocator.place(path) for path in sorted(paths)}
    return {path: local_path for path, local_path in local_paths.items() if local_path != path}


class _NameAllocator:
    """The names allocated so far, folder by folder."""

    def __init__(self, file_system: FileSystem) -> None:
        self._file_system = file_system
        self._owner: dict[tuple[str, str], str] = {("", STAGING): "/"}  # the staging folder
        self._part: dict[tuple[str, str], str] = {}

    def place(self, path: str) -> str:
        parts = self._parts(path.split("/"), ())
        if len(raw("/".join(parts))) > self._file_system.longest or len(parts) > MAX_DEPTH:
            parts = self._shortened(path.split("/"))
        return "/".join(parts)

    def _parts(self, parts: Sequence[str], parents: tuple[str, ...]) -> list[str]:
        local_parts = list(parents)
        for part in parts:
            local_parts.append(self._allocate("/".join(local_parts), part))
        return local_parts

    def _shortened(self, parts: list[str]) -> list[str]:
        """The first folders, one folder for all that follow, and the file's name."""
        if len(parts) == 1:
            return self._parts_within([], parts[0])
        prefix: list[str] = []
        room = min(KEPT_BYTES, self._file_system.longest - 2 * ESCAPED)
        for part in parts[:-2]:
            name = self._allocate("/".join(prefix), part, longest=STEM)
            if len(raw("/".join([*prefix, name]))) > room:
                break
            prefix.append(name)
        between = "/".join(parts[len(prefix) : -1])
        folder = self._allocate("/".join(prefix), between, longest=0)
        return self._parts_within([*prefix, folder], parts[-1])

    def _parts_within(self, parents: list[str], name: str) -> list[str]:
        return [*parents, self._allocate("/".join(parents), name, longest=STEM)]

    def _allocate(self, folder: str, part: str, longest: int | None = None) -> str:
        key = (folder, part)
        if key in self._part and longest is None:
            return self._part[key]
        fits = self._file_system.holds(part) and (longest is None or len(raw(part)) <= longest)
        name, digits = part if fits else escaped(part, 12), 12
        while self._owner.setdefault((folder, self._folded(folder, name)), part) != part:
            name, digits = escaped(part, digits), digits + 4
        if longest is None:
            self._part[key] = name
        return name

    def _folded(self, folder: str, part: str) -> str:
        if not folder and part.casefold() == STAGING:
            return STAGING
        return self._file_system.folded(part)


def escaped(part: str, digits: int) -> str:
    """A plain, unique name for `part`, with `digits` digits of its sha256."""
    stem, extension = os.path.splitext(part)
    if not EXTENSION.fullmatch(extension):
        stem, extension = part, ""
    stem = PLAIN.sub("_", stem)[:STEM].strip(" .")
    return f"{stem}~{hashlib.sha256(raw(part)).hexdigest()[:digits]}{extension}"
