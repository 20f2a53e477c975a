"""What one upload holds: every file of a work folder, read as it is sent, and hashed on the way."""

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
    """The pod does not have the upload, and said why."""

    code = "upload-failed"


class PodDiskFull(UploadFailed):
    """The upload does not fit onto the pod's disk, with what is there already."""

    code = "pod-disk-full"


class FileGone(UploadFailed):
    """A file went away, or was closed to us, after it was listed."""

    code = "file-gone"


@dataclass(frozen=True)
class FilePart:
    size: int
    sha256: str
    mode: int
    source: Path | bytes


class UploadBatch:
    """All files of one work folder, and where the bytes of each hash are."""

    def __init__(self, run: str, snapshot: Snapshot, extra: Mapping[str, bytes]) -> None:
        self.run = run
        self.pieces = {f.path: FilePart(f.size, f.sha256, f.mode, f.source) for f in snapshot.files}
        if both := self.pieces.keys() & extra.keys():
            raise UsageError(f"{min(both)} is an input and a file that podctl writes")
        for path, data in extra.items():
            sha256 = hashlib.sha256(data).hexdigest()
            self.pieces[path] = FilePart(len(data), sha256, 0o644, data)
        self.sent: dict[str, int] = {}  # hash: bytes on the wire
        self.changed: dict[str, FileEntry] = {}  # as they were sent, not as they were listed

    @property
    def tree(self) -> str:
        return tree_digest((p, one.size, one.sha256, one.mode) for p, one in self.pieces.items())

    def paths(self) -> dict[str, str]:
        """A path for each hash."""
        return {one.sha256: path for path, one in self.pieces.items()}

    def sizes(self, only: Collection[str] | None = None) -> Iterator[int]:
        """Of each file; of those alone whose hash is in `only`."""
        every = self.pieces.values()
        return (piece.size for piece in every if only is None or piece.sha256 in only)

    def order(self) -> bytes:
        files = [(encode(p), x.size, x.sha256, x.mode == 0o755) for p, x in self.pieces.items()]
        order = {"run": self.run, "tree": self.tree, "files": files}
        return json.dumps(order, separators=(",", ":")).encode() + b"\n"

    def content(self, path: str) -> Iterator[bytes]:
        """What is at `path` now, up to the size it has now; the piece is that from then on."""
        piece = self.pieces[path]
        if isinstance(piece.source, bytes):
            yield piece.source
            return
        found, size = hashlib.sha256(), 0
        try:
            with piece.source.open("rb") as file:
                most = os.fstat(file.fileno()).st_size
                while data := file.read(min(CHUNK, most - size)):
                    found.update(data)
                    size += len(data)
                    yield data
        except OSError as error:
            raise FileGone(
                f"{path} cannot be read any more", cause=error.strerror or "", hint=UNWANTED
            ) from error
        if found.hexdigest() != piece.sha256:
            self.pieces[path] = replace(piece, size=size, sha256=found.hexdigest())
            self.changed[path] = FileEntry(path, size, found.hexdigest())
