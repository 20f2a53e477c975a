"""Large files as lists of pieces: which are here, which are under way, which are still to fetch.

Beside a staged file its journal holds one line for each piece that was written, with a checksum.
After an interruption a piece counts only if its bytes on disk still have that checksum; the file
as a whole counts only by its sha256.
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

PIECE = 2 * 1024 * 1024  # bytes: what a cut can cost on each connection
LINE = re.compile(rb"(\d{1,9}) (\d{1,10})\n")


@dataclass(eq=False)
class Target:
    """One large file being received."""

    entry: FileEntry
    fd: int
    journal: int
    have: set[int] = field(default_factory=set)  # pieces on disk
    prefix: int = 0  # pieces from the start without a gap
    changed: bool = False  # the pod no longer has what the manifest says
    installed: bool = False

    @classmethod
    def open(cls, inbox: StagingArea, entry: FileEntry) -> Target:
        """With what an earlier pull left, as far as it is still right."""
        fd, journal = inbox.restage(entry, ""), inbox.restage(entry, ".ranges")
        target = cls(entry, fd, journal)
        for index, checksum in _read_journal(journal).items():
            if index < target.count and zlib.crc32(target.read(index)) == checksum:
                target.have.add(index)
        os.ftruncate(fd, entry.size)
        target.advance()
        return target

    @property
    def count(self) -> int:
        return -(-self.entry.size // PIECE)

    def span(self, index: int) -> tuple[int, int]:
        """(offset, length) of a piece."""
        offset = index * PIECE
        return offset, min(PIECE, self.entry.size - offset)

    def read(self, index: int) -> bytes:
        offset, length = self.span(index)
        return os.pread(self.fd, length, offset)

    def advance(self) -> None:
        while self.prefix in self.have:
            self.prefix += 1

    def forget(self) -> None:
        """Nothing of it counts any more."""
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
    """The list of what is to fetch, shared by the connections and the one that hashes."""

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
        self._news = threading.Condition()
        self._stopped = False
        self._open = len(self.targets)  # files neither installed nor given up

    def over(self) -> bool:
        """Whether nothing is left to do, or all is to end."""
        return self._stopped or self._open == 0

    def waiting(self) -> int:
        return len(self._queue)

    def missing_bytes(self) -> int:
        """What still has to come, of files that are still wanted."""
        with self._news:
            wanted = [
                target for target in self.targets if not target.changed and not target.installed
            ]
            return sum(max(0, entry.entry.size - len(entry.have) * PIECE) for entry in wanted)

    def take(self, *, wait: bool) -> Chunk | None:
        """The next piece; None when there is none now, or with `wait` when all is over."""
        with self._news:
            while not self.over():
                while self._queue:
                    piece = self._queue.popleft()
                    if not piece.target.changed:
                        return piece
                if not wait:
                    return None
                self._news.wait(1.0)
        return None

    def done(self, piece: Chunk, checksum: int) -> None:
        os.write(piece.target.journal, b"%d %d\n" % (piece.index, checksum))
        with self._news:
            piece.target.have.add(piece.index)
            piece.target.advance()
            self.last_progress = time.monotonic()
            self._news.notify_all()

    def give_back(self, pieces: Sequence[Chunk]) -> None:
        with self._news:
            self._queue.extendleft(reversed(pieces))
            self._news.notify_all()

    def again(self, target: Target) -> None:
        """Fetch all of it once more: as a whole it was not what the manifest says."""
        with self._news:
            target.forget()
            self._queue.extend(Chunk(target, index) for index in range(target.count))
            self._news.notify_all()

    def give_up(self, target: Target) -> None:
        """The pod no longer has it."""
        with self._news:
            if not target.changed:
                target.changed = True
                self._open -= 1
            self._news.notify_all()

    def installed(self, target: Target) -> None:
        with self._news:
            target.installed = True
            self._open -= 1
            self.last_progress = time.monotonic()
            self._news.notify_all()

    def await_prefix(self, target: Target, beyond: int) -> int | None:
        """Pieces without a gap, once more than `beyond`; None when no more will come."""
        with self._news:
            while target.prefix <= beyond:
                if target.changed or self.over():
                    return None
                self._news.wait(1.0)
            return target.prefix

    def stop(self, failure: PodctlError | None = None) -> None:
        """End everything; the first failure is kept."""
        with self._news:
            self.failure = self.failure or failure
            self._stopped = True
            self._news.notify_all()

    def pause(self, seconds: float) -> None:
        """Until something happened, at most `seconds`."""
        with self._news:
            if not self.over():
                self._news.wait(seconds)
