"""Downloads large files over several connections while one thread hashes what has arrived.

One SSH stream moves one window per round trip; several connections fill the link. Each connection
requests the next chunk before the last one has arrived, writes it at its offset, and reconnects
after a failure. Hashing follows in file order, so the digest is ready soon after the last byte.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from controller.errors import ArtifactsNotSafe, ConnectionLost, PodctlError, translate_os_limits
from controller.ssh.host_keys import HostKeyMismatch
from controller.ssh.stream import AuthRefused, SessionRefused, Stream
from controller.transfer.chunks import Chunk, Chunks, Target
from controller.transfer.disk import disk_trouble
from controller.transfer.staging_area import StagingArea
from controller.transfer.throttle import Throttle
from remote.names import encode
from state.file_sync import sync_file

if TYPE_CHECKING:
    from controller.ssh.session import Session

MAX_PENDING = 4  # chunks requested before the first has arrived: more than one window of bytes
MISSING = 2**64 - 1
SYNC_EVERY = 32  # chunks: lets the disk write while the link transfers


@dataclass(frozen=True)
class Source:
    """How a connection requests chunks of one run's files."""

    connect: Callable[[float, Callable[[], bool]], Session]  # (deadline in seconds, still wanted)
    argv: tuple[str, ...]
    cwd: str
    patience_seconds: float  # without any progress on any connection


class Fetcher(threading.Thread):
    """Fetches chunks over one connection, and reconnects until the transfer is finished."""

    def __init__(
        self, source: Source, chunks: Chunks, staging: StagingArea, throttle: Throttle
    ) -> None:
        super().__init__(name="podctl-fetch", daemon=True)
        self._source = source
        self._chunks = chunks
        self._staging = staging
        self._throttle = throttle
        self._pending: deque[Chunk] = deque()
        self._session: Session | None = None
        self.failure: PodctlError | None = None

    def run(self) -> None:
        try:
            with translate_os_limits():
                while not self._chunks.finished():
                    self._fetch_until_lost()
        except ArtifactsNotSafe as error:  # the local disk: another connection cannot help
            self._chunks.stop(error)
        except OSError as error:
            self._chunks.stop(disk_trouble(error, self._staging.into, self._chunks.missing_bytes()))
        except PodctlError as error:
            self.failure = error

    def abandon(self) -> None:
        """Close the connection, so that the thread ends soon."""
        if self._session is not None:
            self._session.close()

    def _wanted(self) -> bool:
        return not self._chunks.finished()

    def _fetch_until_lost(self) -> None:
        source = self._source
        try:
            with (
                source.connect(source.patience_seconds, self._wanted) as self._session,
                self._session.stream(
                    source.argv,
                    cwd=source.cwd,
                    deadline_seconds=7 * 86400.0,
                    idle_seconds=source.patience_seconds,
                ) as stream,
            ):
                self._fetch(stream)
        except (HostKeyMismatch, AuthRefused, SessionRefused):
            raise
        except ConnectionLost:
            idle_seconds = time.monotonic() - self._chunks.last_progress
            if idle_seconds > source.patience_seconds:
                raise
        finally:
            self._chunks.requeue(list(self._pending))
            self._pending.clear()

    def _fetch(self, stream: Stream) -> None:
        while not self._chunks.finished():
            while len(self._pending) < MAX_PENDING and (
                chunk := self._chunks.take(wait=not self._pending)
            ):
                self._request(stream, chunk)
            if not self._pending:
                return
            self._receive(stream, self._pending[0])
            self._pending.popleft()

    def _request(self, stream: Stream, chunk: Chunk) -> None:
        self._pending.append(chunk)
        offset, length = chunk.target.span(chunk.index)
        stream.send(json.dumps([encode(chunk.target.entry.path), offset, length]).encode() + b"\n")

    def _receive(self, stream: Stream, chunk: Chunk) -> None:
        offset, length = chunk.target.span(chunk.index)
        (promised,) = struct.unpack(">Q", stream.exactly(8))
        if promised != length:
            self._chunks.abandon(chunk.target)
            if promised == MISSING:
                return
            if promised > length:
                raise ArtifactsNotSafe("the pod sent more bytes than requested")
        checksum = 0
        end = offset + promised
        while offset < end:
            data = stream.recv(end - offset)
            if not data:  # the file shrank; the program on the pod exits in that case
                self._chunks.abandon(chunk.target)
                stream.finish()
                raise ConnectionLost("a file on the pod shrank while it was read")
            self._write(chunk.target, data, offset)
            checksum = zlib.crc32(data, checksum)
            offset += len(data)
            self._throttle.took(len(data))
        if promised == length:
            self._chunks.record(chunk, checksum)

    def _write(self, target: Target, data: memoryview, offset: int) -> None:
        with self._staging.room(self._chunks.missing_bytes):
            while data:
                written = os.pwrite(target.fd, data, offset)
                data, offset = data[written:], offset + written


class Checker(threading.Thread):
    """Hashes the files in order as their chunks arrive, syncs and installs them."""

    def __init__(self, chunks: Chunks, staging: StagingArea) -> None:
        super().__init__(name="podctl-hash", daemon=True)
        self._chunks = chunks
        self._staging = staging

    def run(self) -> None:
        try:
            with translate_os_limits():
                for target in self._chunks.targets:
                    self._check(target)
        except PodctlError as error:
            self._chunks.stop(error)
        except OSError as error:
            self._chunks.stop(disk_trouble(error, self._staging.into, self._chunks.missing_bytes()))

    def _check(self, target: Target) -> None:
        # Twice: a resumed file may hold chunks that were corrupted on the local disk.
        for final_try in (False, True):
            sha256 = self._hash(target)
            if sha256 is None:
                return
            if sha256 == target.entry.sha256:
                with self._staging.room(self._chunks.missing_bytes):
                    sync_file(target.fd)
                if not self._staging.try_install(target.entry, target.fd):
                    break
                self._chunks.mark_installed(target)
                return
            if not final_try:
                self._chunks.refetch(target)
        self._chunks.abandon(target)

    def _hash(self, target: Target) -> str | None:
        digest = hashlib.sha256()
        checked = 0
        while checked < target.count:
            prefix = self._chunks.await_prefix(target, checked)
            if prefix is None:
                return None
            for index in range(checked, prefix):
                digest.update(target.read(index))
                if index % SYNC_EVERY == SYNC_EVERY - 1:
                    with self._staging.room(self._chunks.missing_bytes):
                        sync_file(target.fd)
            checked = prefix
        return digest.hexdigest()
