"""The staging area of a run's downloads: files are written, hashed, synced, then renamed.

Every name is resolved relative to an open folder, without following links, so that concurrent
changes of the tree cannot redirect a write. Verified files are remembered with size, time and
inode, so that a second pull does not read gigabytes again.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from controller.errors import ArtifactsNotSafe
from controller.transfer.disk import check_space, writing
from controller.transfer.manifest_check import STAGING
from controller.transfer.verified_files import RECORD, read_record, verified_facts, write_record
from remote.contract import FileEntry
from remote.names import encode
from state.file_sync import sync_file

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
NEW_FILE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
CHUNK = 4 * 1024 * 1024
EARLIER = "earlier"  # folder of files that were moved out of the way
_BAD_NAME = (errno.EILSEQ, errno.EINVAL, errno.ENAMETOOLONG)


class StagingArea:
    """The folder `into` and its staging folder, open. Use as a context manager."""

    def __init__(self, into: Path, local_paths: Mapping[str, str] | None = None) -> None:
        """`local_paths` maps the paths that cannot be kept locally to their local paths."""
        self.into = into
        self.in_the_way: ArtifactsNotSafe | None = None  # the first error of `try_install`
        self._local_paths = local_paths or {}
        self._open_folders: list[int] = []  # other than the top and the staging folder
        into.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._top = os.open(into, FOLDER)
        try:
            self._staging = _subfolder(self._top, STAGING)
        except BaseException:
            os.close(self._top)
            raise
        self._dirty: set[str] = {""}  # folders whose names are not durable yet
        self._verified = read_record(self._staging)

    def __enter__(self) -> StagingArea:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            write_record(self._staging, self._verified)
        finally:
            for fd in (*self._open_folders, self._staging, self._top):
                os.close(fd)

    def has(self, entry: FileEntry) -> bool:
        """Whether the file exists locally with the right size and hash; reads it at most once."""
        path = self.place(entry)
        stat_result = self._stat(path)
        if stat_result is None or stat_result.st_size != entry.size:
            return False
        if self._verified.get(path) != verified_facts(stat_result, entry.sha256):
            with self._folder_of(path) as (folder, name):
                fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            with os.fdopen(fd, "rb") as file:
                if _hash(file.fileno(), entry.size) != entry.sha256:
                    return False
            self._verified[path] = verified_facts(stat_result, entry.sha256)
        return True

    def place(self, entry: FileEntry) -> str:
        """The local path of `entry` below `into`."""
        return self._local_paths.get(entry.path, entry.path)

    def _stat(self, path: str) -> os.stat_result | None:
        """The status of the regular file at `path`; None if there is none, or only through a
        link."""
        try:
            with self._folder_of(path) as (folder, name):
                stat_result = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except OSError:
            return None
        return stat_result if stat.S_ISREG(stat_result.st_mode) else None

    @contextlib.contextmanager
    def _folder_of(self, path: str, *, create: bool = False) -> Iterator[tuple[int, str]]:
        """The open folder that holds `path`, and the last name; links are not followed."""
        *folders, name = path.split("/")
        fd = os.dup(self._top)
        try:
            for depth, part in enumerate(folders):
                if create:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(part, 0o755, dir_fd=fd)
                        self._dirty.add("/".join(folders[:depth]))
                child_fd = os.open(part, FOLDER, dir_fd=fd)
                os.close(fd)
                fd = child_fd
            yield fd, name
        finally:
            os.close(fd)

    def check_space(self, wanted: Sequence[FileEntry]) -> None:
        """Raises LocalDiskFull when `wanted` does not fit, in bytes or in number."""
        need_bytes = sum(entry.size - self.staged_bytes(entry) for entry in wanted)
        staged = set(os.listdir(self._staging))
        names = sum(staged_name(entry) not in staged for entry in wanted)
        folders = {
            folder for entry in wanted for folder in PurePosixPath(self.place(entry)).parents
        }
        names += sum(not os.path.exists(self.into / folder) for folder in folders)
        check_space(self.into, self._top, need_bytes, names)

    def room(self, need: Callable[[], int]) -> contextlib.AbstractContextManager[None]:
        """Turns disk errors into LocalDiskFull and its siblings; `need` returns the remaining
        bytes."""
        return writing(self.into, need)

    def stage(self, entry: FileEntry) -> int:
        """A new empty staged file, open for reading and writing; an earlier attempt is deleted."""
        self.unstage(entry)
        return os.open(staged_name(entry), NEW_FILE, 0o600, dir_fd=self._staging)

    def restage(self, entry: FileEntry, suffix: str) -> int:
        """The staged file of an earlier pull, or a new one; the caller verifies its content."""
        name = staged_name(entry) + suffix
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_APPEND * bool(suffix)
        return os.open(name, flags, 0o600, dir_fd=self._staging)

    def unstage(self, entry: FileEntry) -> None:
        for suffix in ("", ".ranges"):
            self._drop(staged_name(entry) + suffix)

    def staged_bytes(self, entry: FileEntry) -> int:
        """Bytes of disk space that an earlier pull already uses for `entry`."""
        try:
            stat_result = os.stat(staged_name(entry), dir_fd=self._staging, follow_symlinks=False)
        except FileNotFoundError:
            return 0
        return min(entry.size, stat_result.st_blocks * 512)

    def install(self, entry: FileEntry, fd: int) -> None:
        """Rename the staged, hashed and synced file open as `fd` to its local path.

        Files of earlier manifests are moved out of the way; else raises ArtifactsNotSafe.
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
        self._verified[path] = verified_facts(os.fstat(fd), entry.sha256)
        self._drop(staged_name(entry) + ".ranges")

    def try_install(self, entry: FileEntry, fd: int) -> bool:
        """Like `install`, but keeps the first error in `in_the_way` for later."""
        try:
            self.install(entry, fd)
        except ArtifactsNotSafe as error:
            self.in_the_way = self.in_the_way or error
            return False
        return True

    def copy(self, source: FileEntry, entry: FileEntry) -> bool:
        """Copy the local file of `source` to `entry`; False if it is missing."""
        if not self.has(source):
            return False
        with self.room(lambda: entry.size), self._folder_of(self.place(source)) as (folder, name):
            from_fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            with os.fdopen(from_fd, "rb") as file, os.fdopen(self.stage(entry), "w+b") as copy:
                shutil.copyfileobj(file, copy, CHUNK)
                copy.flush()
                sync_file(copy.fileno())
                if _hash(copy.fileno(), entry.size) == entry.sha256:
                    return self.try_install(entry, copy.fileno())
        self.unstage(entry)
        return False

    def _blocked(self, path: str, error: OSError) -> ArtifactsNotSafe:
        return ArtifactsNotSafe(
            "an existing file or folder blocks a file from the pod",
            where=encode(str(self.into / path)),
            cause=error.strerror or "",
            hint="move it away, then run the same command again",
        )

    def _clear(self, path: str) -> None:
        """Move aside a file where a folder is needed, and a folder where a file is needed."""
        parts = path.split("/")
        for depth in range(1, len(parts) + 1):
            part = "/".join(parts[:depth])
            with self._folder_of(part) as (folder, name):
                try:
                    mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
                except FileNotFoundError:
                    return
                blocking = stat.S_ISDIR(mode) if depth == len(parts) else stat.S_ISREG(mode)
                if blocking:
                    os.rename(name, self._free_name(), src_dir_fd=folder, dst_dir_fd=self._earlier)
                    return

    @functools.cached_property
    def _earlier(self) -> int:
        fd = _subfolder(self._staging, EARLIER)
        self._open_folders.append(fd)
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
                sync_file(fd)
        self._dirty = {""}

    def keep_only(self, entries: Iterable[FileEntry]) -> None:
        """Delete staged files of earlier pulls that are not in `entries`."""
        wanted = {staged_name(entry) for entry in entries}
        for name in os.listdir(self._staging):
            if name not in (RECORD, EARLIER) and name.removesuffix(".ranges") not in wanted:
                os.unlink(name, dir_fd=self._staging)

    def _drop(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._staging)


def staged_name(entry: FileEntry) -> str:
    """A name that depends on path, size and hash only, so that a later pull finds the file."""
    key = f"{encode(entry.path)}\0{entry.size}\0{entry.sha256}"
    return hashlib.sha256(key.encode()).hexdigest()[:40]


def _subfolder(top: int, name: str) -> int:
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=top)
    fd = os.open(name, FOLDER, dir_fd=top)
    if os.fstat(fd).st_dev != os.fstat(top).st_dev:
        os.close(fd)
        raise ArtifactsNotSafe("the staging folder is on another file system", where=name)
    os.fchmod(fd, 0o700)
    return fd


def _hash(fd: int, size: int) -> str:
    digest = hashlib.sha256()
    offset = 0
    while offset < size and (data := os.pread(fd, CHUNK, offset)):
        digest.update(data)
        offset += len(data)
    return digest.hexdigest()
