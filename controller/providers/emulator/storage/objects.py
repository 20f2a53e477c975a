"""A network volume's folder as a bucket: an object is a file at the path that its key names."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from controller.providers.emulator.storage.errors import StorageError

UPLOADS = ".s3compat_uploads"  # parts of unfinished uploads, in the volume, hidden from lists
MAX_KEY = 1024  # bytes
BLOCK = 1024 * 1024


@dataclass(frozen=True)
class StoredObject:
    """One object, or an empty folder, whose key ends with a slash."""

    key: str
    size: int
    modified: float  # Unix seconds
    etag: str


@dataclass
class Bucket:
    """One volume. `etags` remembers checksums by path, size and time of change."""

    folder: Path
    capacity: int  # bytes
    etags: dict[tuple[str, int, int], str] = field(default_factory=dict)

    def path(self, key: str) -> Path:
        """The file of `key`. Raises StorageError for a key that leaves the volume."""
        if len(key.encode()) > MAX_KEY:
            raise StorageError("KeyTooLongError", "the key is too long")
        parts = key.split("/")
        if not key or "\0" in key or any(part in ("", ".", "..") for part in parts):
            raise StorageError("InvalidArgument", f"the key {key!r} is no path of a file")
        path = self.folder.joinpath(*parts)
        if not path.parent.resolve().is_relative_to(self.folder.resolve()):
            raise StorageError("AccessDenied", "the key leads out of the volume")
        return path

    def get(self, key: str) -> tuple[StoredObject, Path]:
        """An object and its file. Raises StorageError (NoSuchKey)."""
        path = self.path(key)
        real = path.resolve()
        if parts_of_uploads(key) or not real.is_file():
            raise StorageError("NoSuchKey", "the key does not exist")
        if not real.is_relative_to(self.folder.resolve()):
            raise StorageError("AccessDenied", "the key leads out of the volume")
        return self._object(key, real), real

    def delete(self, key: str) -> None:
        """Delete a file, or an empty folder whose key ends with a slash; none is no error."""
        path = self.path(key.rstrip("/"))
        try:
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            else:
                path.unlink()
        except OSError:
            return

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """The objects whose keys begin with `prefix`, sorted by key."""
        found = sorted((key, path) for key, path in self._walk() if key.startswith(prefix))
        for key, path in found:
            if key.endswith("/"):
                yield StoredObject(key, 0, path.stat().st_mtime, hashlib.md5(b"").hexdigest())  # noqa: S324 - the API's checksum
            else:
                yield self._object(key, path)

    def check_space(self, size: int) -> None:
        """Raises StorageError if `size` more bytes do not fit."""
        used = sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())
        if used + size > self.capacity:
            raise StorageError("InsufficientStorage", "the network volume is full")

    def remember(self, path: Path, etag: str) -> None:
        about = path.stat()
        self.etags[(str(path), about.st_size, about.st_mtime_ns)] = etag

    def _walk(self) -> Iterator[tuple[str, Path]]:
        for root, folders, files in os.walk(self.folder):
            folder = Path(root)
            if UPLOADS in folders and folder == self.folder:
                folders.remove(UPLOADS)
            for name in files:
                path = folder / name
                if path.is_file() and not path.is_symlink():
                    yield path.relative_to(self.folder).as_posix(), path
            if not files and not folders and folder != self.folder:
                yield folder.relative_to(self.folder).as_posix() + "/", folder

    def _object(self, key: str, path: Path) -> StoredObject:
        about = path.stat()
        mark = (str(path), about.st_size, about.st_mtime_ns)
        if mark not in self.etags:
            self.etags[mark] = _md5(path)
        return StoredObject(key, about.st_size, about.st_mtime, self.etags[mark])


def parts_of_uploads(key: str) -> bool:
    return key.split("/", 1)[0] == UPLOADS


def _md5(path: Path) -> str:
    digest = hashlib.md5()  # noqa: S324 - the API's checksum
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()
