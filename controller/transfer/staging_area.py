"""Where a run's files arrive: written beside, hashed, made durable, then given their names.

Every name is looked up relative to an open folder, without following links, so that nothing that
appears in the tree meanwhile can redirect a write. What was verified once is remembered with its
size, time and inode, so that a second pull does not read gigabytes again.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from controller.errors import ArtifactsNotSafe
from controller.transfer.disk import check_space, writing
from controller.transfer.manifest_check import STAGING
from remote.contract import FileEntry
from remote.names import encode

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
NEW_FILE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
CHUNK = 4 * 1024 * 1024
SIDECAR = "verified.json"
EARLIER = "earlier"  # what stood where something else stands now
_BAD_NAME = (errno.EILSEQ, errno.EINVAL, errno.ENAMETOOLONG)


class StagingArea:
    """The folder `into` and its staging folder, open. Use as a context manager."""

    def __init__(self, into: Path, here: Mapping[str, str] | None = None) -> None:
        """`here` says where files are to stand whose own names cannot be had."""
        self.into = into
        self.in_the_way: ArtifactsNotSafe | None = None  # the first that could not be installed
        self._here = here or {}
        self._more: list[int] = []  # more open folders
        into.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._top = os.open(into, FOLDER)
        try:
            self._staging = _subfolder(self._top, STAGING)
        except BaseException:
            os.close(self._top)
            raise
        self._dirty: set[str] = {""}  # folders whose names are not durable yet
        self._verified = self._read_sidecar()

    def __enter__(self) -> StagingArea:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._write_sidecar()
        finally:
            for fd in (*self._more, self._staging, self._top):
                os.close(fd)

    def has(self, entry: FileEntry) -> bool:
        """Whether the file is here with the right size and hash; reads it at most once."""
        path = self.place(entry)
        about = self._about(path)
        if about is None or about.st_size != entry.size:
            return False
        if self._verified.get(path) != _facts(about, entry.sha256):
            with self._folder_of(path) as (folder, name):
                fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            with os.fdopen(fd, "rb") as file:
                if _hash(file.fileno(), entry.size) != entry.sha256:
                    return False
            self._verified[path] = _facts(about, entry.sha256)
        return True

    def place(self, entry: FileEntry) -> str:
        """The path below `into` under which it stands."""
        return self._here.get(entry.path, entry.path)

    def _about(self, path: str) -> os.stat_result | None:
        """The regular file at `path`, or None when there is none that can be had safely."""
        try:
            with self._folder_of(path) as (folder, name):
                about = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except OSError:
            return None
        return about if stat.S_ISREG(about.st_mode) else None

    @contextlib.contextmanager
    def _folder_of(self, path: str, *, create: bool = False) -> Iterator[tuple[int, str]]:
        """The open folder that holds `path`, and the last name; no link on the way is followed."""
        *folders, name = path.split("/")
        fd = os.dup(self._top)
        try:
            for depth, part in enumerate(folders):
                if create:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(part, 0o755, dir_fd=fd)
                        self._dirty.add("/".join(folders[:depth]))
                deeper = os.open(part, FOLDER, dir_fd=fd)
                os.close(fd)
                fd = deeper
            yield fd, name
        finally:
            os.close(fd)

    def check_space(self, wanted: Sequence[FileEntry]) -> None:
        """Raises LocalDiskFull when `wanted` does not fit, in bytes or in number."""
        need = sum(entry.size - self.staged_bytes(entry) for entry in wanted)
        staged = set(os.listdir(self._staging))
        names = sum(staged_name(entry) not in staged for entry in wanted)
        folders = {
            folder for entry in wanted for folder in PurePosixPath(self.place(entry)).parents
        }
        names += sum(not os.path.exists(self.into / folder) for folder in folders)
        check_space(self.into, self._top, need, names)

    def room(self, need: Callable[[], int]) -> contextlib.AbstractContextManager[None]:
        """A disk that fills up in the middle becomes LocalDiskFull; `need` bytes are to come."""
        return writing(self.into, need)

    def stage(self, entry: FileEntry) -> int:
        """A new empty file beside, open for reading and writing; an old attempt is dropped."""
        self.unstage(entry)
        return os.open(staged_name(entry), NEW_FILE, 0o600, dir_fd=self._staging)

    def restage(self, entry: FileEntry, suffix: str) -> int:
        """What an earlier pull left of `entry`, or a new file; the caller verifies what is in."""
        name = staged_name(entry) + suffix
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_APPEND * bool(suffix)
        return os.open(name, flags, 0o600, dir_fd=self._staging)

    def unstage(self, entry: FileEntry) -> None:
        for suffix in ("", ".ranges"):
            self._drop(staged_name(entry) + suffix)

    def staged_bytes(self, entry: FileEntry) -> int:
        """Bytes on disk that an earlier pull already took for `entry`."""
        try:
            about = os.stat(staged_name(entry), dir_fd=self._staging, follow_symlinks=False)
        except FileNotFoundError:
            return 0
        return min(entry.size, about.st_blocks * 512)

    def install(self, entry: FileEntry, fd: int) -> None:
        """Give the staged, hashed and synced file open as `fd` its name.

        What an earlier manifest left in its way moves aside. Raises ArtifactsNotSafe where that
        is not to be had.
        """
        path = self.place(entry)
        try:
            self._clear(path)
            with self._folder_of(path, create=True) as (folder, name):
                os.replace(staged_name(entry), name, src_dir_fd=self._staging, dst_dir_fd=folder)
        except (NotADirectoryError, IsADirectoryError, FileNotFoundError) as error:
            raise self._blocked(path, error) from error
        except OSError as error:
            if error.errno not in _BAD_NAME:
                raise
            raise self._blocked(path, error) from error
        self._dirty.add(path.rpartition("/")[0])
        self._verified[path] = _facts(os.fstat(fd), entry.sha256)
        self._drop(staged_name(entry) + ".ranges")

    def try_install(self, entry: FileEntry, fd: int) -> bool:
        """The same; that one file cannot be had here keeps no other from coming."""
        try:
            self.install(entry, fd)
        except ArtifactsNotSafe as error:
            self.in_the_way = self.in_the_way or error
            return False
        return True

    def copy(self, source: FileEntry, entry: FileEntry) -> bool:
        """Have the content of a file that is here under one more name; False when it is not."""
        if not self.has(source):
            return False
        with self.room(lambda: entry.size), self._folder_of(self.place(source)) as (folder, name):
            from_fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            with os.fdopen(from_fd, "rb") as file, os.fdopen(self.stage(entry), "w+b") as copy:
                shutil.copyfileobj(file, copy, CHUNK)
                copy.flush()
                os.fsync(copy.fileno())
                if _hash(copy.fileno(), entry.size) == entry.sha256:
                    return self.try_install(entry, copy.fileno())
        self.unstage(entry)
        return False

    def _blocked(self, path: str, error: OSError) -> ArtifactsNotSafe:
        return ArtifactsNotSafe(
            "something that is here already is in the way of a file from the pod",
            where=encode(str(self.into / path)),
            cause=error.strerror or "",
            hint="move it away, then run the same command again",
        )

    def _clear(self, path: str) -> None:
        """Move aside a file where a folder is to be, and a folder where a file is."""
        parts = path.split("/")
        for depth in range(1, len(parts) + 1):
            part = "/".join(parts[:depth])
            with self._folder_of(part) as (folder, name):
                try:
                    mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
                except FileNotFoundError:
                    return
                wrong = stat.S_ISDIR(mode) if depth == len(parts) else stat.S_ISREG(mode)
                if wrong:
                    os.rename(name, self._free_name(), src_dir_fd=folder, dst_dir_fd=self._earlier)
                    return

    @functools.cached_property
    def _earlier(self) -> int:
        fd = _subfolder(self._staging, EARLIER)
        self._more.append(fd)
        return fd

    def _free_name(self) -> str:
        return str(
            1
            + max((int(name) for name in os.listdir(self._earlier) if name.isdecimal()), default=0)
        )

    def settle(self) -> None:
        """Make every new name durable."""
        for folder in sorted(self._dirty):
            with self._folder_of(f"{folder}/x" if folder else "x") as (fd, _):
                os.fsync(fd)
        self._dirty = {""}

    def keep_only(self, entries: Iterable[FileEntry]) -> None:
        """Drop what earlier pulls staged for files that are wanted no more."""
        wanted = {staged_name(entry) for entry in entries}
        for name in os.listdir(self._staging):
            if name not in (SIDECAR, EARLIER) and name.removesuffix(".ranges") not in wanted:
                os.unlink(name, dir_fd=self._staging)

    def _read_sidecar(self) -> dict[str, list[Any]]:
        """What was verified before; anything odd about it means only that files are read again."""
        try:
            fd = os.open(SIDECAR, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._staging)
            with os.fdopen(fd, "rb") as file:
                value = json.load(file)
        except (OSError, ValueError):
            return {}
        return value if isinstance(value, dict) else {}

    def _write_sidecar(self) -> None:
        """Only a memory of hashes: without it the next pull reads the files once more."""
        beside = f".{SIDECAR}"
        with contextlib.suppress(OSError):
            self._drop(beside)
            fd = os.open(beside, NEW_FILE, 0o600, dir_fd=self._staging)
            with os.fdopen(fd, "w") as file:
                json.dump(self._verified, file, separators=(",", ":"))
            os.replace(beside, SIDECAR, src_dir_fd=self._staging, dst_dir_fd=self._staging)
            return
        with contextlib.suppress(OSError):
            self._drop(beside)

    def _drop(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._staging)


def staged_name(entry: FileEntry) -> str:
    """The same for the same content under the same path, so that a later pull finds it."""
    named = f"{encode(entry.path)}\0{entry.size}\0{entry.sha256}"
    return hashlib.sha256(named.encode()).hexdigest()[:40]


def _subfolder(top: int, name: str) -> int:
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=top)
    fd = os.open(name, FOLDER, dir_fd=top)
    if os.fstat(fd).st_dev != os.fstat(top).st_dev:
        os.close(fd)
        raise ArtifactsNotSafe("the staging folder is on another file system", where=name)
    os.fchmod(fd, 0o700)
    return fd


def _facts(about: os.stat_result, sha256: str) -> list[Any]:
    return [about.st_size, about.st_mtime_ns, about.st_ino, sha256]


def _hash(fd: int, size: int) -> str:
    found = hashlib.sha256()
    offset = 0
    while offset < size and (data := os.pread(fd, CHUNK, offset)):
        found.update(data)
        offset += len(data)
    return found.hexdigest()
