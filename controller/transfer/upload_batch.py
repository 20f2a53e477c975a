"""The files of one upload, hashed again while they are read and sent."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from controller.errors import PodctlError, UsageError
from controller.transfer.snapshot import Snapshot, tree_digest
from remote.contract import FileEntry
from remote.names import encode

CHUNK = 1024 * 1024  # bytes
UNWANTED = "list it in .podctlignore if the job does not need it, or run again once it is complete"


class UploadFailed(PodctlError):
    """The pod rejected the upload."""

    code = "upload-failed"


class PodDiskFull(UploadFailed):
    """The upload does not fit into the free space of the pod's disk."""

    code = "pod-disk-full"


class FileGone(UploadFailed):
    """A file was deleted, or became unreadable, after it was listed."""

    code = "file-gone"


@dataclass(frozen=True)
class FilePart:
    """One file of an upload; `source` is a local path or the bytes themselves."""

    size: int
    sha256: str
    mode: int
    source: Path | bytes


class UploadBatch:
    """All files of one work folder, and where the content of each hash is read from."""

    def __init__(self, run: str, snapshot: Snapshot, extra: Mapping[str, bytes]) -> None:
        self.run = run
        self.files = {f.path: FilePart(f.size, f.sha256, f.mode, f.source) for f in snapshot.files}
        if duplicates := self.files.keys() & extra.keys():
            raise UsageError(f"{min(duplicates)} is an input and a file that podctl writes")
        for path, data in extra.items():
            sha256 = hashlib.sha256(data).hexdigest()
            self.files[path] = FilePart(len(data), sha256, 0o644, data)
        self.sent: dict[str, int] = {}  # hash: bytes on the wire
        self.changed: dict[str, FileEntry] = {}  # as they were sent, not as they were listed

    @property
    def tree(self) -> str:
        return tree_digest(
            (path, part.size, part.sha256, part.mode) for path, part in self.files.items()
        )

    def paths(self) -> dict[str, str]:
        """A path for each hash."""
        return {part.sha256: path for path, part in self.files.items()}

    def sizes(self, only: Collection[str] | None = None) -> Iterator[int]:
        """The size of each file, in bytes, or of those whose hash is in `only`."""
        parts = self.files.values()
        return (part.size for part in parts if only is None or part.sha256 in only)

    def order(self) -> bytes:
        files = [
            (encode(path), part.size, part.sha256, part.mode == 0o755)
            for path, part in self.files.items()
        ]
        order = {"run": self.run, "tree": self.tree, "files": files}
        return json.dumps(order, separators=(",", ":")).encode() + b"\n"

    def content(self, path: str) -> Iterator[bytes]:
        """The current content of `path`, up to its current size; updates its hash if it changed."""
        part = self.files[path]
        if isinstance(part.source, bytes):
            yield part.source
            return
        digest, size = hashlib.sha256(), 0
        try:
            with part.source.open("rb") as file:
                limit = os.fstat(file.fileno()).st_size
                while data := file.read(min(CHUNK, limit - size)):
                    digest.update(data)
                    size += len(data)
                    yield data
        except OSError as error:
            raise FileGone(
                f"{path} can no longer be read", cause=error.strerror or "", hint=UNWANTED
            ) from error
        if digest.hexdigest() != part.sha256:
            self.files[path] = replace(part, size=size, sha256=digest.hexdigest())
            self.changed[path] = FileEntry(path, size, digest.hexdigest())
