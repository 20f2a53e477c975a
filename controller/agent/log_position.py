"""The known part of a log, and whether bytes from a pod continue it.

A pod with a new disk has another log under the same name, whose offsets begin at 0 again.
"""

from __future__ import annotations

from dataclasses import dataclass

from state.redaction import MASK

TAIL = 4096  # bytes before the known end that must be equal


@dataclass(frozen=True)
class Chunk:
    """Bytes of a log from offset `start`. `size`: bytes of the complete log when they were read."""

    start: int
    data: bytes
    size: int

    @property
    def end(self) -> int:
        return self.start + len(self.data)


@dataclass(frozen=True)
class LogPosition:
    """The end of the known part of a log, and the bytes before it, which identify the log."""

    offset: int = 0
    tail: bytes = b""

    @classmethod
    def after(cls, data: bytes) -> LogPosition:
        """The position at the end of `data`, the complete known log."""
        return cls(len(data), data[-TAIL:])

    @property
    def begin(self) -> int:
        """Offset to read from, so that `is_in` can compare the overlap."""
        return self.offset - len(self.tail)

    def is_in(self, chunk: Chunk) -> bool:
        """Whether `chunk`, requested from `begin`, can belong to the same log.

        A masked byte matches any byte. A log that has deleted all these bytes cannot be compared
        and counts as the same.
        """
        overlap = self.tail[max(0, chunk.start - self.begin) :]
        pairs = zip(overlap, chunk.data, strict=False)
        return chunk.size >= self.offset and all(
            known == received or MASK[0] in (known, received) for known, received in pairs
        )

    def past(self, chunk: Chunk) -> tuple[LogPosition, bytes]:
        """The position after `chunk`, and the bytes of it beyond this position."""
        new = chunk.data[max(0, self.offset - chunk.start) :]
        before = self.tail if chunk.start <= self.offset else b""
        return LogPosition(chunk.end, (before + new)[-TAIL:]), new
