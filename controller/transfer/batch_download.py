"""Downloads many small files in one stream: one round trip for all of them."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from controller.errors import ConnectionLost
from controller.ssh.host_keys import HostKeyMismatch
from controller.ssh.stream import AuthRefused, SessionRefused, Stream
from controller.transfer.range_download import Source
from controller.transfer.staging_area import StagingArea
from controller.transfer.throttle import Throttle
from remote.contract import FileEntry
from remote.names import encode
from state.file_sync import sync_file

if TYPE_CHECKING:
    from controller.ssh.session import Session

MAX_CHUNK = 16 * 1024 * 1024  # bytes of one frame of the stream
SYNCERS = 8  # a disk takes several requests at once
SYNC_SECONDS = 600.0  # for the disk to sync one small file
MAX_OPEN = 64  # files written but not synced; the limit of open files may be 256


class _CorruptStream(ConnectionLost):
    """The stream violates the protocol; a new stream may not."""


class BatchDownload:
    """Fetches `entries` in order over `session`, and reconnects when the connection is lost."""

    def __init__(
        self,
        entries: Sequence[FileEntry],
        source: Source,
        session: Session,
        staging: StagingArea,
        throttle: Throttle,
    ) -> None:
        self._pending = deque(entries)
        self._source = source
        self._session = session
        self._staging = staging
        self._throttle = throttle
        self._failed: set[str] = set()  # paths whose content did not match once
        self._corrupt_streams = 0
        self._last_progress = time.monotonic()
        self._total = sum(entry.size for entry in entries)
        self.files_done = 0
        self.bytes_done = 0
        self._part = 0  # bytes of the file that is being received
        self._report: Callable[[], None] = lambda: None
        self.skipped: set[str] = set()

    def fetch(self, report: Callable[[], None]) -> None:
        """Fetch all entries; `report` is called after each block of data."""
        session, self._report = self._session, report
        try:
            while self._pending:
                try:
                    if not session.alive:
                        session = self._source.connect(self._source.patience_seconds, lambda: True)
                    self._stream(session)
                except ConnectionLost as error:
                    self._raise_if_final(error)
        finally:
            if session is not self._session:
                session.close()

    @property
    def bytes_here(self) -> int:
        """Bytes on the local disk, with those of an incomplete file."""
        return self.bytes_done + self._part

    def _raise_if_final(self, error: ConnectionLost) -> None:
        """Raise an error that another attempt cannot fix."""
        idle_seconds = time.monotonic() - self._last_progress
        self._corrupt_streams += isinstance(error, _CorruptStream)
        permanent = isinstance(error, HostKeyMismatch | AuthRefused | SessionRefused)
        if permanent or self._corrupt_streams > 2 or idle_seconds > self._source.patience_seconds:
            raise error

    def _stream(self, session: Session) -> None:
        request = [[encode(entry.path), entry.size] for entry in self._pending]
        argv, cwd, idle_seconds = self._source.argv, self._source.cwd, self._source.patience_seconds
        with (
            session.stream(
                argv, cwd=cwd, deadline_seconds=86400.0, idle_seconds=idle_seconds
            ) as stream,
            ThreadPoolExecutor(SYNCERS) as pool,
            _Written(self._staging, pool) as written,
        ):
            stream.send(json.dumps(request).encode() + b"\n")
            stream.end()
            for _ in range(len(request)):
                self._receive_file(stream, written)
                self._report()

    def _receive_file(self, stream: Stream, written: _Written) -> None:
        entry = self._pending[0]
        codec, self._part = stream.exactly(1), 0
        matches = codec != b"-" and self._receive(
            entry, _decompressed(stream, codec, entry), written
        )
        self._pending.popleft()
        self._part = 0
        self._last_progress = time.monotonic()
        if matches:
            self.files_done += 1
            self.bytes_done += entry.size
        elif codec != b"-" and entry.path not in self._failed:
            self._failed.add(entry.path)
            self._pending.append(entry)  # retry once, in another stream
        else:
            self.skipped.add(entry.path)

    def _receive(self, entry: FileEntry, blocks: Iterator[bytes], written: _Written) -> bool:
        digest, size = hashlib.sha256(), 0
        with self._staging.room(lambda: self._total - self.bytes_done):
            fd = self._staging.stage(entry)
            try:
                for data in blocks:
                    digest.update(data)
                    size += len(data)
                    _write_all(fd, data)
                    self._throttle.took(len(data))
                    self._part = size
                    self._report()
            except BaseException:
                os.close(fd)
                self._staging.unstage(entry)
                raise
            if size != entry.size or digest.hexdigest() != entry.sha256:
                os.close(fd)
                self._staging.unstage(entry)
                return False
            written.add(entry, fd)
        return True


class _Written:
    """Files whose bytes are complete; each is installed once it is synced."""

    def __init__(self, staging: StagingArea, pool: ThreadPoolExecutor) -> None:
        self._staging = staging
        self._pool = pool
        self._waiting: deque[tuple[FileEntry, int, Future[None]]] = deque()

    def __enter__(self) -> _Written:
        return self

    def __exit__(self, *_: object) -> None:
        # After an error too: complete files are kept.
        while self._waiting:
            self._install_first()

    def add(self, entry: FileEntry, fd: int) -> None:
        self._waiting.append((entry, fd, self._pool.submit(sync_file, fd)))
        while len(self._waiting) > MAX_OPEN or (self._waiting and self._waiting[0][2].done()):
            self._install_first()

    def _install_first(self) -> None:
        entry, fd, synced = self._waiting.popleft()
        try:
            synced.result(SYNC_SECONDS)
            self._staging.try_install(entry, fd)
        finally:
            os.close(fd)


def _decompressed(stream: Stream, codec: bytes, entry: FileEntry) -> Iterator[bytes]:
    """Decode one file in the format of remote.files; at most the entry's size plus one byte."""
    if codec not in (b"r", b"z"):
        raise _CorruptStream("the pod's stream of files is corrupt")
    decompressor = zlib.decompressobj() if codec == b"z" else None
    remaining = entry.size
    while length := struct.unpack(">I", stream.exactly(4))[0]:
        if length > MAX_CHUNK:
            raise _CorruptStream("the pod's stream of files is corrupt")
        data = stream.exactly(length)
        try:
            block = decompressor.decompress(data, remaining + 1) if decompressor else data
        except zlib.error as error:
            raise _CorruptStream(
                "the pod's stream of files is corrupt", cause=str(error)
            ) from error
        remaining -= len(block)
        if remaining < 0:
            raise _CorruptStream(f"the pod sends more of {entry.path!a} than it listed")
        yield block


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
