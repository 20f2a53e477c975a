"""Large files as lists of chunks: which are on disk, in flight, and still to be fetched.

Beside a staged file its journal holds one line with a checksum for each chunk that was written.
After an interruption a chunk is valid only if its bytes on disk still have that checksum; the
complete file is valid only by its sha256.
"""

from __future__ import annotations

import os
import re
import threading
import time
import zlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from controller.errors import PodctlError
from controller.transfer.staging_area import StagingArea
from remote.contract import FileEntry

CHUNK_BYTES = 2 * 1024 * 1024  # bytes: how much a lost connection can cost
LINE = re.compile(rb"(\d{1,9}) (\d{1,10})\n")


@dataclass(eq=False)
class Target:
    """One large file being received."""

    entry: FileEntry
    fd: int
    journal: int
    have: set[int] = field(default_factory=set)  # chunks on disk
    prefix: int = 0  # contiguous chunks from the start
    changed: bool = False  # the pod's file no longer matches the manifest
    installed: bool = False

    @classmethod
    def open(cls, staging: StagingArea, entry: FileEntry) -> Target:
        """Open the staged file with the chunks of an earlier pull whose checksum is still right."""
        fd, journal = staging.restage(entry, ""), staging.restage(entry, ".ranges")
        target = cls(entry, fd, journal)
        for index, checksum in _read_journal(journal).items():
            if index < target.count and zlib.crc32(target.read(index)) == checksum:
                target.have.add(index)
        os.ftruncate(fd, entry.size)
        target.advance()
        return target

    @property
    def count(self) -> int:
        return -(-self.entry.size // CHUNK_BYTES)

    def span(self, index: int) -> tuple[int, int]:
        """(offset, length) of a chunk, in bytes."""
        offset = index * CHUNK_BYTES
        return offset, min(CHUNK_BYTES, self.entry.size - offset)

    def read(self, index: int) -> bytes:
        offset, length = self.span(index)
        return os.pread(self.fd, length, offset)

    def advance(self) -> None:
        while self.prefix in self.have:
            self.prefix += 1

    def forget(self) -> None:
        """Discard all chunks."""
        os.ftruncate(self.journal, 0)
        self.have.clear()
        self.prefix = 0

    def close(self) -> None:
        os.close(self.fd)
        os.close(self.journal)


def _read_journal(fd: int) -> dict[int, int]:
    size = min(os.fstat(fd).st_size, 64 * 1024 * 1024)
    return {int(index): int(checksum) for index, checksum in LINE.findall(os.pread(fd, size, 0))}


@dataclass(frozen=True, eq=False)
class Chunk:
    target: Target
    index: int


class Chunks:
    """The queue of chunks to fetch, shared by the fetching threads and the hashing thread."""

    def __init__(self, targets: Sequence[Target]) -> None:
        self.targets = tuple(targets)
        self.failure: PodctlError | None = None
        self.last_progress = time.monotonic()
        self._queue = deque(
            Chunk(target, index)
            for target in targets
            for index in range(target.count)
            if index not in target.have
        )
        self._condition = threading.Condition()
        self._stopped = False
        self._open = len(self.targets)  # files neither installed nor abandoned

    def finished(self) -> bool:
        """Whether nothing is left to do, or the transfer was stopped."""
        return self._stopped or self._open == 0

    def waiting(self) -> int:
        return len(self._queue)

    def missing_bytes(self) -> int:
        """Bytes that are still to be fetched."""
        with self._condition:
            pending = [
                target for target in self.targets if not target.changed and not target.installed
            ]
            return sum(
                max(0, entry.entry.size - len(entry.have) * CHUNK_BYTES) for entry in pending
            )

    def take(self, *, wait: bool) -> Chunk | None:
        """The next chunk; None if the queue is empty or, with `wait`, once the transfer is
        finished."""
        with self._condition:
            while not self.finished():
                while self._queue:
                    chunk = self._queue.popleft()
                    if not chunk.target.changed:
                        return chunk
                if not wait:
                    return None
                self._condition.wait(1.0)
        return None

    def record(self, chunk: Chunk, checksum: int) -> None:
        os.write(chunk.target.journal, b"%d %d\n" % (chunk.index, checksum))
        with self._condition:
            chunk.target.have.add(chunk.index)
            chunk.target.advance()
            self.last_progress = time.monotonic()
            self._condition.notify_all()

    def requeue(self, chunks: Sequence[Chunk]) -> None:
        with self._condition:
            self._queue.extendleft(reversed(chunks))
            self._condition.notify_all()

    def refetch(self, target: Target) -> None:
        """Fetch all chunks once more, because the complete file does not match the manifest."""
        with self._condition:
            target.forget()
            self._queue.extend(Chunk(target, index) for index in range(target.count))
            self._condition.notify_all()

    def abandon(self, target: Target) -> None:
        """Give the file up, because the pod no longer has it."""
        with self._condition:
            if not target.changed:
                target.changed = True
                self._open -= 1
            self._condition.notify_all()

    def mark_installed(self, target: Target) -> None:
        with self._condition:
            target.installed = True
            self._open -= 1
            self.last_progress = time.monotonic()
            self._condition.notify_all()

    def await_prefix(self, target: Target, beyond: int) -> int | None:
        """Waits for more than `beyond` contiguous chunks and returns their number; None if no more
        will arrive."""
        with self._condition:
            while target.prefix <= beyond:
                if target.changed or self.finished():
                    return None
                self._condition.wait(1.0)
            return target.prefix

    def stop(self, failure: PodctlError | None = None) -> None:
        """Stop the transfer; the first failure is kept."""
        with self._condition:
            self.failure = self.failure or failure
            self._stopped = True
            self._condition.notify_all()

    def pause(self, seconds: float) -> None:
        """Wait for a change, at most `seconds`."""
        with self._condition:
            if not self.finished():
                self._condition.wait(seconds)
