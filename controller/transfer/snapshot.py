"""The files that are uploaded, with their hashes.

A likely secret raises an error before anything is sent.
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
from controller.transfer.secret_scan import MAX_BYTES, Suspicion, by_content, by_name
from controller.transfer.tracked_files import walk
from remote.globs import excluded

CHUNK = 1024 * 1024  # bytes


class LikelySecret(UsageError):
    """A file looks like a secret or contains one. `not_secret` in podctl.toml allows its path."""

    code = "likely-secret"


@dataclass(frozen=True)
class Caps:
    """Upper limits of one upload."""

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
    """Every uploaded file, by path, and `tree`: the sha256 of the complete list."""

    files: tuple[SnapshotFile, ...]
    tree: str
    left_out: tuple[Omitted, ...] = ()
    notice: str = ""  # about how the files were listed; empty for nothing to report

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
    earlier_outputs: Collection[str] = (),
    allow: Sequence[str] = (),
    caps: Caps | None = None,
    progress: Callable[[TransferProgress], None] | None = None,
) -> Snapshot:
    """Read and hash what `inputs` and `include` select of `project`.

    `allow` lists globs of files that are sent although they look like secrets. Raises NotFound for
    an input that does not exist, LikelySecret, and UsageError for links that lead outside and for
    more than `caps`.
    """
    selection = select(project, inputs, include, earlier_outputs)
    selection.check()
    return read(selection, allow=allow, caps=caps, progress=progress)


def take_all(
    folder: Path,
    caps: Caps | None = None,
    progress: Callable[[TransferProgress], None] | None = None,
) -> Snapshot:
    """Read and hash every file below a folder of podctl's own, without ignore rules."""
    files = {path: folder / path for path in walk(folder, "", lambda _: False)}
    regular = {path: source for path, source in files.items() if not source.is_symlink()}
    return read(Selection(regular), caps=caps, progress=progress)


def read(
    selection: Selection,
    *,
    allow: Sequence[str] = ("**",),
    caps: Caps | None = None,
    progress: Callable[[TransferProgress], None] | None = None,
) -> Snapshot:
    """Read and hash the selected files. Raises like `take`."""
    caps = caps or Caps()
    check_count(selection, caps)
    search = _SecretSearch(allow)
    search.check_names(selection)
    count = _Count.of(selection, progress) if progress is not None else None
    snapshots = (
        _read(path, selection.files[path], search, count) for path in sorted(selection.files)
    )
    files = tuple(file for file in snapshots if file is not None)
    search.check()
    total = sum(file.size for file in files)
    if total > caps.total_bytes:
        raise UsageError(f"the inputs are {total} bytes, over the cap of {caps.total_bytes}")
    left_out = tuple(selection.left_out[path] for path in sorted(selection.left_out))
    tree = tree_digest((file.path, file.size, file.sha256, file.mode) for file in files)
    return Snapshot(files, tree, left_out, selection.notice)


@dataclass
class _Count:
    """Files and bytes read so far, of those selected."""

    files: int
    bytes: int
    report: Callable[[TransferProgress], None]
    done: int = 0
    read: int = 0

    @classmethod
    def of(cls, selection: Selection, report: Callable[[TransferProgress], None]) -> _Count:
        return cls(len(selection.files), sum(map(_size, selection.files.values())), report)

    def add(self, size: int) -> None:
        """Count `size` more bytes; 0 marks the end of a file."""
        self.read += size
        self.done += not size
        self.report(TransferProgress(self.done, self.files, self.read, max(self.read, self.bytes)))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def check(selection: Selection, allow: Sequence[str], caps: Caps | None = None) -> None:
    """Check that all files may be sent and can be read, without hashing them; of files that are too
    large to search only one byte is read. Raises LikelySecret and UsageError."""
    check_count(selection, caps)
    search = _SecretSearch(allow)
    search.check_names(selection)
    for path in sorted(selection.files):
        _read(path, selection.files[path], search, None, complete=False)
    search.check()


def check_count(selection: Selection, caps: Caps | None = None) -> None:
    limit = (caps or Caps()).files
    if len(selection.files) > limit:
        raise UsageError(
            f"the inputs are more than {limit} files",
            hint="name the inputs more narrowly, or list what is not needed in .podctlignore",
        )


class _SecretSearch:
    """Collects the likely secrets of an upload, to report them together. `allow` are globs of files
    that are not secrets; a glob without a `/` matches at any depth."""

    def __init__(self, allow: Sequence[str]) -> None:
        self._allowed = [excluded(glob) for glob in allow]
        self._suspicions: list[Suspicion] = []

    def check_names(self, selection: Selection) -> None:
        """Check the names of the files and of link targets. Raises LikelySecret."""
        for path in sorted(selection.files):
            if not self.allows(path):
                target_name = selection.files[path].name
                suspicion = by_name(path) or (
                    by_name(target_name) and Suspicion(path, 0, f"{target_name}, a secret")
                )
                self._suspicions += [suspicion] if suspicion else []
        self.check()

    def allows(self, path: str) -> bool:
        return any(glob.fullmatch(path) for glob in self._allowed)

    def content(self, path: str, data: bytes, stat_result: os.stat_result) -> None:
        """Search a file, unless this process has already found it clean."""
        key = (
            stat_result.st_dev,
            stat_result.st_ino,
            stat_result.st_size,
            stat_result.st_mtime_ns,
            stat_result.st_ctime_ns,
        )
        if key in _CLEAN or self.allows(path):
            return
        if suspicions := by_content(path, data):
            self._suspicions += suspicions
        else:
            _CLEAN.add(key)

    def check(self) -> None:
        if not self._suspicions:
            return
        first, paths = self._suspicions[0], {suspicion.path for suspicion in self._suspicions}
        others = len(self._suspicions) - 1
        names = ", ".join(f'"{path}"' for path in sorted(paths)[:3])
        raise LikelySecret(
            f"{first}{f', and there are {others} more' if others else ''}: nothing was sent",
            where="; ".join(str(suspicion) for suspicion in self._suspicions[:20]),
            hint="remove it, or list the file in .podctlignore; if it is not a secret, add "
            f"not_secret = [{names}] below [upload] in podctl.toml",
        )


_CLEAN: set[tuple[int, ...]] = set()


def _read(
    path: str, source: Path, search: _SecretSearch, count: _Count | None, *, complete: bool = True
) -> SnapshotFile | None:
    """The file with its hash, searched for secrets unless it is too large; None for a file that was
    deleted since it was listed.

    At most as many bytes as the file had when it was opened are read, even if it grows.
    """
    digest = hashlib.sha256()
    blocks: list[bytes] = []
    try:
        with source.open("rb") as file:
            stat_result = os.fstat(file.fileno())
            if not stat.S_ISREG(stat_result.st_mode):
                raise UsageError(f"{path} is not a regular file")
            searchable = stat_result.st_size <= MAX_BYTES
            size, end = 0, stat_result.st_size if complete or searchable else 1
            while data := file.read(min(CHUNK, end - size)):
                blocks += [data] if searchable else []
                digest.update(data)
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
    if searchable:
        search.content(path, b"".join(blocks), stat_result)
    mode = 0o755 if stat_result.st_mode & stat.S_IXUSR else 0o644
    return SnapshotFile(path, size, digest.hexdigest(), mode, source)
