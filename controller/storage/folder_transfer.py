"""Copies files and folders between this machine and a volume. Keys of a volume are not trusted."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from controller.errors import NotFound, PodctlError, UsageError
from controller.storage.client import StoredFile, VolumeClient
from controller.storage.download import download
from controller.storage.etag import comparable, file_etag
from controller.storage.upload import is_there, upload
from controller.transfer.progress import TransferProgress
from remote import names

Progress = Callable[[TransferProgress], None]


@dataclass(frozen=True)
class CopyReport:
    """The result of one copy. `unproven`: files whose content only their size shows."""

    files: int
    bytes: int
    there: int  # files that were there already
    unproven: tuple[str, ...] = ()


class _Count:
    def __init__(self, files: int, size: int, progress: Progress) -> None:
        self._files, self._size, self._progress = files, size, progress
        self._done_files = self._done = 0

    def bytes(self, count: int) -> None:
        self._done += count
        self._report()

    def file(self) -> None:
        self._done_files += 1
        self._report()

    def _report(self) -> None:
        total = max(self._size, self._done)
        self._progress(TransferProgress(self._done_files, self._files, self._done, total))


def path_on_volume(text: str) -> str:
    """A path as a user types it, relative to the volume's root. Raises UsageError."""
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise UsageError(f"{text!r} leads out of the volume", hint="a path from the volume's root")
    return "/".join(parts)


def send(
    volume: VolumeClient,
    sources: Iterable[tuple[Path, str]],
    progress: Progress,
    sleep: Callable[[float], None],
) -> CopyReport:
    """Send each file to its path on the volume; what is there already is not sent again."""
    planned = list(sources)
    count = _Count(len(planned), sum(source.stat().st_size for source, _ in planned), progress)
    there = 0
    total = 0
    for source, path in planned:
        if is_there(volume.head(path), source):
            there += 1
            count.bytes(source.stat().st_size)
        else:
            upload(volume, source, path, count.bytes, sleep)
            total += source.stat().st_size
        count.file()
    return CopyReport(len(planned), total, there)


def local_files(source: Path, path: str) -> list[tuple[Path, str]]:
    """The files below `source` (a file or folder) with their paths on the volume.

    Symbolic links to files are followed, others are refused. Raises NotFound, UsageError.
    """
    if source.is_file():
        return [(source, path or source.name)]
    if not source.is_dir():
        raise NotFound(f"there is no file or folder {str(source)!r} here")
    base = path or source.resolve().name
    files = []
    for entry in sorted(source.rglob("*")):
        if entry.is_dir():
            if entry.is_symlink():
                raise UsageError(
                    "a link to a folder is not followed", where=str(entry), hint="send it by itself"
                )
            continue
        if not entry.exists() or not stat.S_ISREG(entry.stat().st_mode):
            raise UsageError("this is no ordinary file", where=str(entry), hint="remove it first")
        files.append((entry, f"{base}/{entry.relative_to(source).as_posix()}"))
    return files


def matching(volume: VolumeClient, path: str) -> list[StoredFile]:
    """The file `path`, or the files below the folder `path`. Raises NotFound."""
    stored = volume.head(path) if path else None
    if stored is not None:
        return [stored]
    found = list(volume.files(f"{path}/" if path else ""))
    if not found:
        raise NotFound(
            f"the volume has no file or folder {names.encode(path)!r}", hint="podctl volume ls"
        )
    return found


def fetch(
    volume: VolumeClient, found: list[StoredFile], path: str, target: Path, progress: Progress
) -> CopyReport:
    """Fetch the files of `matching(volume, path)` to `target`, a file or folder.

    A name that leaves `target`, or a link on the way, is refused before anything is fetched.
    """
    planned = [(stored, _local(stored, path, target)) for stored in found]
    for _, local in planned:
        _refuse_links(local, target)
    count = _Count(len(planned), sum(stored.size for stored, _ in planned), progress)
    there, total, unproven = 0, 0, list[str]()
    for stored, local in planned:
        if _same(stored, local):
            there += 1
            count.bytes(stored.size)
        else:
            if not download(volume, stored, local, count.bytes):
                unproven.append(stored.path)
            total += stored.size
        count.file()
    return CopyReport(len(planned), total, there, tuple(unproven))


def _local(stored: StoredFile, path: str, target: Path) -> Path:
    if stored.path == path:
        return target / PurePosixPath(path).name if target.is_dir() else target
    relative = stored.path.removeprefix(f"{path}/" if path else "")
    if problem := names.wrong(relative):
        raise PodctlError(
            f"the volume has a file whose name cannot be kept: {names.encode(stored.path)}",
            cause=problem,
            hint="rename it on a pod, or fetch the other files one by one",
        )
    return target / relative


def _refuse_links(local: Path, target: Path) -> None:
    for parent in (local, *local.parents):
        if parent == target.parent:
            return
        if parent.is_symlink() and parent != target:
            raise UsageError("a link stands where a file would go", where=str(parent))


def _same(stored: StoredFile, local: Path) -> bool:
    if not local.is_file() or local.stat().st_size != stored.size:
        return False
    return comparable(stored.etag, stored.size) and file_etag(local) == stored.etag
