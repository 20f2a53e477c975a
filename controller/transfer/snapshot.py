"""What travels to the pod: the selected files with their hashes.

Likely secrets end the whole thing before anything is sent.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from controller.errors import UsageError
from controller.transfer.file_selection import Omitted, Selection, select
from controller.transfer.progress import TransferProgress
from controller.transfer.secret_scan import MOST, Suspicion, by_content, by_name
from controller.transfer.tracked_files import walk
from remote.globs import excluded

CHUNK = 1024 * 1024  # bytes


class LikelySecret(UsageError):
    """A file looks like a secret, or holds one; it is sent when its path is said to be none."""

    code = "likely-secret"


@dataclass(frozen=True)
class Caps:
    """What one upload may be at most."""

    files: int = 20_000
    total_bytes: int = 64 * 10**9


@dataclass(frozen=True)
class SnapshotFile:
    """One regular file as it was read; `path` is relative to the project, with `/`."""

    path: str
    size: int  # bytes
    sha256: str
    mode: int  # 0o755 when executable, else 0o644
    source: Path


@dataclass(frozen=True)
class Snapshot:
    """Every file that travels, by path, and `tree`: the sha256 of the whole list."""

    files: tuple[SnapshotFile, ...]
    tree: str
    left_out: tuple[Omitted, ...] = ()
    told: str = ""  # how it was found out what belongs, where that is worth telling

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)


def tree_digest(files: Iterable[tuple[str, int, str, int]]) -> str:
    """sha256 of the canonical list of (path, size, sha256, mode)."""
    text = json.dumps(sorted(files), separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def take(
    project: Path,
    inputs: Sequence[str],
    include: Sequence[str] = (),
    *,
    made: Collection[str] = (),
    allow: Sequence[str] = (),
    caps: Caps | None = None,
    progress: Callable[[TransferProgress], None] | None = None,
) -> Snapshot:
    """Read and hash what `inputs` and `include` select of `project`.

    `allow` lists globs of what is sent although it looks like a secret. Raises NotFound for
    an input that is not there, LikelySecret, and UsageError for links that lead outside and for
    more than `caps`.
    """
    found = select(project, inputs, include, made)
    found.check()
    return read(found, allow=allow, caps=caps, progress=progress)


def take_all(
    folder: Path,
    caps: Caps | None = None,
    progress: Callable[[TransferProgress], None] | None = None,
) -> Snapshot:
    """Read and hash every file below a folder of podctl's own, whatever it is called."""
    files = {path: folder / path for path in walk(folder, "", lambda _: False)}
    plain = {path: one for path, one in files.items() if not one.is_symlink()}
    return read(Selection(plain), caps=caps, progress=progress)


def read(
    found: Selection,
    *,
    allow: Sequence[str] = ("**",),
    caps: Caps | None = None,
    progress: Callable[[TransferProgress], None] | None = None,
) -> Snapshot:
    """Read and hash what was selected. Raises as `take`."""
    caps = caps or Caps()
    check_count(found, caps)
    search = _Search(allow)
    search.names(found)
    count = _Count.of(found, progress) if progress is not None else None
    read = (_read(path, found.files[path], search, count) for path in sorted(found.files))
    files = tuple(file for file in read if file is not None)
    search.check()
    total = sum(file.size for file in files)
    if total > caps.total_bytes:
        raise UsageError(f"the inputs are {total} bytes, over the cap of {caps.total_bytes}")
    left_out = tuple(found.left_out[path] for path in sorted(found.left_out))
    tree = tree_digest((f.path, f.size, f.sha256, f.mode) for f in files)
    return Snapshot(files, tree, left_out, found.told)


@dataclass
class _Count:
    """What was read so far of all that is selected."""

    files: int
    bytes: int
    tell: Callable[[TransferProgress], None]
    done: int = 0
    read: int = 0

    @classmethod
    def of(cls, found: Selection, tell: Callable[[TransferProgress], None]) -> _Count:
        return cls(len(found.files), sum(map(_size, found.files.values())), tell)

    def add(self, size: int) -> None:
        """So many bytes more; none: a file is over."""
        self.read += size
        self.done += not size
        self.tell(TransferProgress(self.done, self.files, self.read, max(self.read, self.bytes)))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def check(found: Selection, allow: Sequence[str], caps: Caps | None = None) -> None:
    """That everything may be sent and can be read, as `read` would find; of big files, which are
    not searched, one byte is read. Raises LikelySecret and UsageError."""
    check_count(found, caps)
    search = _Search(allow)
    search.names(found)
    for path in sorted(found.files):
        _read(path, found.files[path], search, None, whole=False)
    search.check()


def check_count(found: Selection, caps: Caps | None = None) -> None:
    most = (caps or Caps()).files
    if len(found.files) > most:
        raise UsageError(
            f"the inputs are more than {most} files",
            hint="name the inputs more narrowly, or list what is not needed in .podctlignore",
        )


class _Search:
    """What of an upload looks like a secret, all of it told at once. `allow` are globs of what is
    none; one without a `/` holds at any depth."""

    def __init__(self, allow: Sequence[str]) -> None:
        self._allowed = [excluded(glob) for glob in allow]
        self._found: list[Suspicion] = []

    def names(self, found: Selection) -> None:
        """By the file's own name, and by that which a link leads to. Raises LikelySecret."""
        for path in sorted(found.files):
            if not self.allows(path):
                end = found.files[path].name
                one = by_name(path) or (by_name(end) and Suspicion(path, 0, f"{end}, a secret"))
                self._found += [one] if one else []
        self.check()

    def allows(self, path: str) -> bool:
        return any(glob.fullmatch(path) for glob in self._allowed)

    def content(self, path: str, data: bytes, about: os.stat_result) -> None:
        """A file that was found clean in this process is not searched again."""
        key = (about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns)
        if key in _CLEAN or self.allows(path):
            return
        if found := by_content(path, data):
            self._found += found
        else:
            _CLEAN.add(key)

    def check(self) -> None:
        if not self._found:
            return
        first, paths = self._found[0], {suspicion.path for suspicion in self._found}
        more = len(self._found) - 1
        names = ", ".join(f'"{path}"' for path in sorted(paths)[:3])
        raise LikelySecret(
            f"{first}{f', and there are {more} more' if more else ''}: nothing was sent",
            where="; ".join(str(suspicion) for suspicion in self._found[:20]),
            hint="take it out, or list the file in .podctlignore; if it is no secret, say "
            f"not_secret = [{names}] below [upload] in podctl.toml",
        )


_CLEAN: set[tuple[int, ...]] = set()


def _read(
    path: str, source: Path, search: _Search, count: _Count | None, *, whole: bool = True
) -> SnapshotFile | None:
    """The file with its hash, searched on the way where it is not too big for that; None for a
    file that went away since it was listed, as temporary ones do.

    At most so many bytes as it had when it was opened: what grows meanwhile is read as it was.
    """
    found = hashlib.sha256()
    held: list[bytes] = []
    try:
        with source.open("rb") as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode):
                raise UsageError(f"{path} is not a regular file")
            small = about.st_size <= MOST
            size, end = 0, about.st_size if whole or small else 1
            while data := file.read(min(CHUNK, end - size)):
                held += [data] if small else []
                found.update(data)
                size += len(data)
                if count is not None:
                    count.add(len(data))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read",
            where=str(source),
            cause=error.strerror or str(error),
            hint="list it in .podctlignore if no job needs it",
        ) from error
    if count is not None:
        count.add(0)
    if small:
        search.content(path, b"".join(held), about)
    mode = 0o755 if about.st_mode & stat.S_IXUSR else 0o644
    return SnapshotFile(path, size, found.hexdigest(), mode, source)
