"""Under which names a job's files stand here: their own, wherever the file system can hold them.

A name that it cannot hold (too long, or of characters that it does not take), or that is the same
here as another's, is replaced by an escaped one: what is plain of it, `~`, twelve digits of the
sha256 of the name, and its ending. The manifest that is kept here and the certificate record which
file that is.
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

MARGIN = 48  # bytes of a path that names beside a file may need
KEPT = 200  # bytes of the first folders that stay of a path that is too long
STEM = 60  # characters of a name that stay of it
ESCAPED = STEM + 30  # bytes of an escaped name, at most
DEEPEST = 200  # folders in one another: more than that many tools cannot walk
PLAIN = re.compile(r"[^A-Za-z0-9._=+,@ -]")
ENDING = re.compile(r"\.[A-Za-z0-9]{1,12}")
SPECIAL = re.compile(
    r"(?is)(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\u00b9\u00b2\u00b3])( *[.:].*)?"
    r'|.*[\x00-\x1f\\:*?"<>|].*|.*[ .]'
)


@dataclass(frozen=True)
class FileSystem:
    """What a file system holds. `longest` counts the bytes below the folder that receives."""

    longest: int = 4096
    part: int = 255  # bytes of one name
    folds_case: bool = False
    normalises: bool = False
    utf8_only: bool = False
    plain_only: bool = False  # none of the characters and names that Windows does not take

    def holds(self, part: str) -> bool:
        if len(raw(part)) > self.part:
            return False
        if self.utf8_only and any("\ud800" <= character <= "\udfff" for character in part):
            return False
        return not (self.plain_only and SPECIAL.fullmatch(part))

    def folded(self, part: str) -> str:
        """Equal for names that are the same here."""
        if self.normalises:
            part = unicodedata.normalize("NFC", part)
        if self.folds_case:
            part = unicodedata.normalize("NFC", part).casefold()
            part = unicodedata.normalize("NFC", part) if self.normalises else part
        return part

    def and_also(self, other: FileSystem) -> FileSystem:
        """What both hold."""
        return FileSystem(
            min(self.longest, other.longest),
            min(self.part, other.part),
            self.folds_case or other.folds_case,
            self.normalises or other.normalises,
            self.utf8_only or other.utf8_only,
            self.plain_only or other.plain_only,
        )


def grounds(folders: Iterable[Path], also: Iterable[Path] = ()) -> FileSystem:
    """What can stand below every one of `folders`, and on the file systems of `also`."""
    found, known = FileSystem(), dict[int, FileSystem]()
    for folder in folders:
        ground = _ground_of(folder, known)
        longest = ground.longest - len(os.fsencode(folder.absolute())) - MARGIN
        found = found.and_also(replace(ground, longest=longest))
    for folder in also:
        found = found.and_also(replace(_ground_of(folder, known), longest=found.longest))
    return found


def _ground_of(folder: Path, known: dict[int, FileSystem]) -> FileSystem:
    there = next(parent for parent in (folder, *folder.parents) if parent.is_dir())
    device = there.stat().st_dev
    if device not in known:
        known[device] = probe(there, device)
    return known[device]


@functools.cache
def probe(folder: Path, _device: int) -> FileSystem:
    """Ask the file system of `folder` by making files; where it takes none, hope for the best."""
    try:
        part, longest = os.pathconf(folder, "PC_NAME_MAX"), os.pathconf(folder, "PC_PATH_MAX")
    except (OSError, ValueError):
        part, longest = 255, 1024
    ground = FileSystem(longest, part)
    try:
        place = tempfile.mkdtemp(prefix=".podctl-names-", dir=folder)
    except OSError:
        return ground
    try:
        return _tried(os.fsencode(place), ground)
    except OSError:
        return ground
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _tried(place: bytes, ground: FileSystem) -> FileSystem:
    def made(name: bytes) -> bool:
        try:
            with open(place + b"/" + name, "xb"):
                return name in os.listdir(place)
        except OSError:
            return False

    composed, apart = "\u00e9".encode(), "e\u0301".encode()
    made(b"case")
    made(composed)
    return replace(
        ground,
        folds_case=os.path.lexists(place + b"/CASE"),
        normalises=os.path.lexists(place + b"/" + apart),
        utf8_only=not made(b"\xff"),
        plain_only=not all(map(made, (b"a:b?", b"tail.", b"tail ", b"aux.json", b"line\nbreak"))),
    )


def local_names(paths: Iterable[str], ground: FileSystem) -> dict[str, str]:
    """Path to the path under which it stands here, for those that cannot have their own. Pure."""
    given = _Given(ground)
    found = {path: given.place(path) for path in sorted(paths)}
    return {path: here for path, here in found.items() if here != path}


class _Given:
    """Names that were given so far, folder by folder."""

    def __init__(self, ground: FileSystem) -> None:
        self._ground = ground
        self._owner: dict[tuple[str, str], str] = {("", STAGING): "/"}  # the receiver's own
        self._part: dict[tuple[str, str], str] = {}

    def place(self, path: str) -> str:
        parts = self._parts(path.split("/"), ())
        if len(raw("/".join(parts))) > self._ground.longest or len(parts) > DEEPEST:
            parts = self._shortened(path.split("/"))
        return "/".join(parts)

    def _parts(self, parts: Sequence[str], above: tuple[str, ...]) -> list[str]:
        here = list(above)
        for part in parts:
            here.append(self._one("/".join(here), part))
        return here

    def _shortened(self, parts: list[str]) -> list[str]:
        """The first folders, one for all that are between, and the file's own name."""
        if len(parts) == 1:
            return self._parts_within([], parts[0])
        kept: list[str] = []
        room = min(KEPT, self._ground.longest - 2 * ESCAPED)
        for part in parts[:-2]:
            name = self._one("/".join(kept), part, longest=STEM)
            if len(raw("/".join([*kept, name]))) > room:
                break
            kept.append(name)
        between = "/".join(parts[len(kept) : -1])
        folder = self._one("/".join(kept), between, longest=0)
        return self._parts_within([*kept, folder], parts[-1])

    def _parts_within(self, above: list[str], name: str) -> list[str]:
        return [*above, self._one("/".join(above), name, longest=STEM)]

    def _one(self, folder: str, part: str, longest: int | None = None) -> str:
        key = (folder, part)
        if key in self._part and longest is None:
            return self._part[key]
        fits = self._ground.holds(part) and (longest is None or len(raw(part)) <= longest)
        wanted, digits = part if fits else escaped(part, 12), 12
        while self._owner.setdefault((folder, self._folded(folder, wanted)), part) != part:
            wanted, digits = escaped(part, digits), digits + 4
        if longest is None:
            self._part[key] = wanted
        return wanted

    def _folded(self, folder: str, part: str) -> str:
        if not folder and part.casefold() == STAGING:
            return STAGING
        return self._ground.folded(part)


def escaped(part: str, digits: int) -> str:
    """A plain name for `part`, which no other part has."""
    stem, ending = os.path.splitext(part)
    if not ENDING.fullmatch(ending):
        stem, ending = part, ""
    stem = PLAIN.sub("_", stem)[:STEM].strip(" .")
    return f"{stem}~{hashlib.sha256(raw(part)).hexdigest()[:digits]}{ending}"
