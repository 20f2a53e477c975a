"""Many small files in one stream: a round trip for all of them instead of one for each."""

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

if TYPE_CHECKING:
    from controller.ssh.session import Session

MAX_CHUNK = 16 * 1024 * 1024  # bytes, of the stream's own framing
SYNCERS = 8  # a disk takes several requests at once
SYNC_SECONDS = 600.0  # for a disk to take one small file
MAX_OPEN = 64  # files written and not yet synced; a laptop may allow only 256 open ones


class _CorruptStream(ConnectionLost):
    """The stream is not what was agreed; a new one may be."""


class BatchDownload:
    """Fetches `entries` in order over `session`, or over a new connection when that is cut."""

    def __init__(
        self,
        entries: Sequence[FileEntry],
        source: Source,
        session: Session,
        inbox: StagingArea,
        throttle: Throttle,
    ) -> None:
        self._left = deque(entries)
        self._source = source
        self._session = session
        self._inbox = inbox
        self._throttle = throttle
        self._failed: set[str] = set()  # did not match once
        self._garbled = 0
        self._last_progress = time.monotonic()
        self._total = sum(entry.size for entry in entries)
        self.files_done = 0
        self.bytes_done = 0
        self._part = 0  # bytes of the file that is being received
        self._tell: Callable[[], None] = lambda: None
        self.skipped: set[str] = set()

    def fetch(self, tell: Callable[[], None]) -> None:
        """Until none is left; `tell` is called after each piece."""
        session, self._tell = self._session, tell
        try:
            while self._left:
                try:
                    if not session.alive:
                        session = self._source.connect(self._source.patience_seconds, lambda: True)
                    self._stream(session)
                except ConnectionLost as error:
                    self._judge(error)
        finally:
            if session is not self._session:
                session.close()

    @property
    def bytes_here(self) -> int:
        """With those of a file that is not whole yet."""
        return self.bytes_done + self._part

    def _judge(self, error: ConnectionLost) -> None:
        """Raise what trying again will not mend."""
        silent = time.monotonic() - self._last_progress
        self._garbled += isinstance(error, _CorruptStream)
        hopeless = isinstance(error, HostKeyMismatch | AuthRefused | SessionRefused)
        if hopeless or self._garbled > 2 or silent > self._source.patience_seconds:
            raise error

    def _stream(self, session: Session) -> None:
        wanted = [[encode(entry.path), entry.size] for entry in self._left]
        argv, cwd, patience = self._source.argv, self._source.cwd, self._source.patience_seconds
        with (
            session.stream(
                argv, cwd=cwd, deadline_seconds=86400.0, idle_seconds=patience
            ) as stream,
            ThreadPoolExecutor(SYNCERS) as pool,
            _Written(self._inbox, pool) as written,
        ):
            stream.send(json.dumps(wanted).encode() + b"\n")
            stream.end()
            for _ in range(len(wanted)):
                self._one(stream, written)
                self._tell()

    def _one(self, stream: Stream, written: _Written) -> None:
        entry = self._left[0]
        codec, self._part = stream.exactly(1), 0
        matches = codec != b"-" and self._receive(entry, _unpacked(stream, codec, entry), written)
        self._left.popleft()
        self._part = 0
        self._last_progress = time.monotonic()
        if matches:
            self.files_done += 1
            self.bytes_done += entry.size
        elif codec != b"-" and entry.path not in self._failed:
            self._failed.add(entry.path)
            self._left.append(entry)  # once more, in a stream of its own
        else:
            self.skipped.add(entry.path)

    def _receive(self, entry: FileEntry, pieces: Iterator[bytes], written: _Written) -> bool:
        found, size = hashlib.sha256(), 0
        with self._inbox.room(lambda: self._total - self.bytes_done):
            fd = self._inbox.stage(entry)
            try:
                for data in pieces:
                    found.update(data)
                    size += len(data)
                    _write_all(fd, data)
                    self._throttle.took(len(data))
                    self._part = size
                    self._tell()
            except BaseException:
                os.close(fd)
                self._inbox.unstage(entry)
                raise
            if size != entry.size or found.hexdigest() != entry.sha256:
                os.close(fd)
                self._inbox.unstage(entry)
                return False
            written.add(entry, fd)
        return True


class _Written:
    """Files whose bytes are complete; each gets its name once it is synced."""

    def __init__(self, inbox: StagingArea, pool: ThreadPoolExecutor) -> None:
        self._inbox = inbox
        self._pool = pool
        self._waiting: deque[tuple[FileEntry, int, Future[None]]] = deque()

    def __enter__(self) -> _Written:
        return self

    def __exit__(self, *_: object) -> None:
        # After an error too: what came whole is kept.
        while self._waiting:
            self._install_first()

    def add(self, entry: FileEntry, fd: int) -> None:
        self._waiting.append((entry, fd, self._pool.submit(os.fsync, fd)))
        while len(self._waiting) > MAX_OPEN or (self._waiting and self._waiting[0][2].done()):
            self._install_first()

    def _install_first(self) -> None:
        entry, fd, synced = self._waiting.popleft()
        try:
            synced.result(SYNC_SECONDS)
            self._inbox.try_install(entry, fd)
        finally:
            os.close(fd)


def _unpacked(stream: Stream, codec: bytes, entry: FileEntry) -> Iterator[bytes]:
    """One content as remote.files describes it; never more than the entry's size and one byte."""
    if codec not in (b"r", b"z"):
        raise _CorruptStream("the pod's stream of files is garbled")
    unpack = zlib.decompressobj() if codec == b"z" else None
    left = entry.size
    while length := struct.unpack(">I", stream.exactly(4))[0]:
        if length > MAX_CHUNK:
            raise _CorruptStream("the pod's stream of files is garbled")
        data = stream.exactly(length)
        try:
            plain = unpack.decompress(data, left + 1) if unpack else data
        except zlib.error as error:
            raise _CorruptStream(
                "the pod's stream of files is garbled", cause=str(error)
            ) from error
        left -= len(plain)
        if left < 0:
            raise _CorruptStream(f"the pod sends more of {entry.path!a} than it listed")
        yield plain


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
