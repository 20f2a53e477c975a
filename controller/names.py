"""May a manifest from a pod be received? Decided on the list alone, before anything is written.

The rules hold for every file system a laptop may have, so that what was pulled on one can be
copied to another: no name that is special, invisible, or the same as its neighbour's on a file
system without case.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from controller.errors import ArtifactsNotSafe
from remote.contract import FileEntry

HASH = re.compile(r"[0-9a-f]{64}")
DEVICES = re.compile(r"(?i)(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])( *[.:].*)?")
STAGING = ".partial"  # the receiver's own folder, at the top
MAX_COMPONENT = 255  # bytes
MAX_PATH = 1024  # bytes
MAX_DEPTH = 32


class UnsafeManifest(ArtifactsNotSafe):
    """The pod's list holds what no honest job writes; nothing of it was received."""

    code = "unsafe-manifest"


@dataclass(frozen=True)
class Caps:
    """What one pull may be at most."""

    files: int = 100_000
    file_bytes: int = 10**12
    total_bytes: int = 4 * 10**12


def check_files(files: Sequence[FileEntry], caps: Caps | None = None) -> None:
    """Raises UnsafeManifest for the first entry that may not be received."""
    caps = caps or Caps()
    if len(files) > caps.files:
        raise UnsafeManifest(f"{len(files)} files, over the cap of {caps.files}")
    for one in files:
        if why := wrong_path(one.path) or _wrong_facts(one, caps):
            raise UnsafeManifest(f"the pod lists a file that is refused: {why}", where=_show(one))
    total = sum(one.size for one in files)
    if total > caps.total_bytes:
        raise UnsafeManifest(f"{total} bytes, over the cap of {caps.total_bytes}")
    if clash := _clash(one.path for one in files):
        raise UnsafeManifest("the pod lists two files that are one here", where=ascii(clash))


def _show(one: FileEntry) -> str:
    return ascii(one.path[:200])


def _wrong_facts(one: FileEntry, caps: Caps) -> str | None:
    if not 0 <= one.size <= caps.file_bytes:
        return f"a size of {one.size} bytes"
    return None if HASH.fullmatch(one.sha256) else "its sha256 is none"


def wrong_path(path: str) -> str | None:
    """Why `path` may not be created below a folder of ours, or None."""
    try:
        raw = path.encode()
    except UnicodeEncodeError:
        return "its name is not Unicode"
    if len(raw) > MAX_PATH or path.count("/") >= MAX_DEPTH:
        return "its path is too long or too deep"
    if path.startswith("/"):
        return "its path is absolute"
    parts = path.split("/")
    if parts[0].casefold() == STAGING:
        return f"{STAGING} is the receiver's"
    return next((why for part in parts if (why := _wrong_part(part))), None)


def _wrong_part(part: str) -> str | None:
    if part in ("", ".", ".."):
        return "its path has an empty, . or .. part"
    if part.startswith("-"):
        return "a part of its path begins with -"
    if "\\" in part:
        return "a part of its path has a backslash"
    if part[-1] in " ." or part[0] == " ":
        return "a part of its path ends in a space or dot, or begins with a space"
    if any(_invisible(character) for character in part):
        return "a control, direction or invisible character"
    if DEVICES.fullmatch(part):
        return "the name of a device"
    return "a part of its path is too long" if len(part.encode()) > MAX_COMPONENT else None


def _invisible(character: str) -> bool:
    # Cc control, Cf format (direction marks among them), Cs surrogate, Zl and Zp line separators.
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def _folded(path: str) -> str:
    """Equal for names that some file system takes for the same."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def _clash(paths: Iterable[str]) -> str | None:
    """A path that is listed twice, up to case, or is both a file and a folder."""
    files: set[str] = set()
    folders: dict[str, str] = {}  # folded: as first written
    for path in paths:
        folded = _folded(path)
        if folded in files or folded in folders:
            return path
        files.add(folded)
        parts = path.split("/")
        for depth in range(1, len(parts)):
            folder = "/".join(parts[:depth])
            if folders.setdefault(_folded(folder), folder) != folder or _folded(folder) in files:
                return path
    return None
