"""Large files over several connections, and one thread that hashes what has come.

One SSH stream moves a window per round trip; several connections fill the link. Each asks for the
next piece before the last one has come, writes it where it belongs, and after a cut comes back and
goes on. The hash follows behind in file order, so that it is ready when the last byte is.
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
from state.durable import sync_file

if TYPE_CHECKING:
    from controller.ssh.session import Session

AHEAD = 4  # pieces asked for before the first has come: more than a window of bytes
GONE = 2**64 - 1
SYNC_EVERY = 32  # pieces: the disk works while the link does


@dataclass(frozen=True)
class Source:
    """How a connection asks for pieces of one run's files."""

    connect: Callable[[float, Callable[[], bool]], Session]  # within seconds, while it is wanted
    argv: tuple[str, ...]
    cwd: str
    patience_seconds: float  # without any progress on any connection


class Fetcher(threading.Thread):
    """One connection's worth of fetching; comes back after cuts until all is here."""

    def __init__(
        self, source: Source, pieces: Chunks, inbox: StagingArea, throttle: Throttle
    ) -> None:
        super().__init__(name="podctl-fetch", daemon=True)
        self._source = source
        self._pieces = pieces
        self._inbox = inbox
        self._throttle = throttle
        self._asked: deque[Chunk] = deque()
        self._session: Session | None = None
        self.failure: PodctlError | None = None

    def run(self) -> None:
        try:
            with translate_os_limits():
                while not self._pieces.over():
                    self._fetch_until_cut()
        except ArtifactsNotSafe as error:  # our own disk: no other connection can do better
            self._pieces.stop(error)
        except OSError as error:
            self._pieces.stop(disk_trouble(error, self._inbox.into, self._pieces.missing_bytes()))
        except PodctlError as error:
            self.failure = error

    def abandon(self) -> None:
        """Wake it; it ends soon after."""
        if self._session is not None:
            self._session.close()

    def _wanted(self) -> bool:
        return not self._pieces.over()

    def _fetch_until_cut(self) -> None:
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
            silent = time.monotonic() - self._pieces.last_progress
            if silent > source.patience_seconds:
                raise
        finally:
            self._pieces.give_back(list(self._asked))
            self._asked.clear()

    def _fetch(self, stream: Stream) -> None:
        while not self._pieces.over():
            while len(self._asked) < AHEAD and (piece := self._pieces.take(wait=not self._asked)):
                self._ask(stream, piece)
            if not self._asked:
                return
            self._receive(stream, self._asked[0])
            self._asked.popleft()

    def _ask(self, stream: Stream, piece: Chunk) -> None:
        self._asked.append(piece)
        offset, length = piece.target.span(piece.index)
        stream.send(json.dumps([encode(piece.target.entry.path), offset, length]).encode() + b"\n")

    def _receive(self, stream: Stream, piece: Chunk) -> None:
        offset, length = piece.target.span(piece.index)
        (promised,) = struct.unpack(">Q", stream.exactly(8))
        if promised != length:
            self._pieces.give_up(piece.target)
            if promised == GONE:
                return
            if promised > length:
                raise ArtifactsNotSafe("the pod sends more than it was asked for")
        checksum = 0
        end = offset + promised
        while offset < end:
            data = stream.recv(end - offset)
            if not data:  # it shrank while it was read; the program on the pod ends over that
                self._pieces.give_up(piece.target)
                stream.finish()
                raise ConnectionLost("a file on the pod shrank while it was read")
            self._write(piece.target, data, offset)
            checksum = zlib.crc32(data, checksum)
            offset += len(data)
            self._throttle.took(len(data))
        if promised == length:
            self._pieces.done(piece, checksum)

    def _write(self, target: Target, data: memoryview, offset: int) -> None:
        with self._inbox.room(self._pieces.missing_bytes):
            while data:
                written = os.pwrite(target.fd, data, offset)
                data, offset = data[written:], offset + written


class Checker(threading.Thread):
    """Hashes the files in order as their pieces come, makes them durable, gives them names."""

    def __init__(self, pieces: Chunks, inbox: StagingArea) -> None:
        super().__init__(name="podctl-hash", daemon=True)
        self._pieces = pieces
        self._inbox = inbox

    def run(self) -> None:
        try:
            with translate_os_limits():
                for target in self._pieces.targets:
                    self._check(target)
        except PodctlError as error:
            self._pieces.stop(error)
        except OSError as error:
            self._pieces.stop(disk_trouble(error, self._inbox.into, self._pieces.missing_bytes()))

    def _check(self, target: Target) -> None:
        # Twice: a resumed file may hold bytes that were spoilt here, a fresh one may not.
        for last in (False, True):
            found = self._hash(target)
            if found is None:
                return
            if found == target.entry.sha256:
                with self._inbox.room(self._pieces.missing_bytes):
                    sync_file(target.fd)
                if not self._inbox.try_install(target.entry, target.fd):
                    break
                self._pieces.installed(target)
                return
            if not last:
                self._pieces.again(target)
        self._pieces.give_up(target)

    def _hash(self, target: Target) -> str | None:
        found = hashlib.sha256()
        checked = 0
        while checked < target.count:
            prefix = self._pieces.await_prefix(target, checked)
            if prefix is None:
                return None
            for index in range(checked, prefix):
                found.update(target.read(index))
                if index % SYNC_EVERY == SYNC_EVERY - 1:
                    with self._inbox.room(self._pieces.missing_bytes):
                        sync_file(target.fd)
            checked = prefix
        return found.hexdigest()
