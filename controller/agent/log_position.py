"""How far a log is known, and whether bytes from a pod belong to the same log.

A pod whose disk is new has another log under the same name: its offsets begin at 0 again.
"""

from __future__ import annotations

from dataclasses import dataclass

from state.redaction import BLOT

TAIL = 4096  # bytes before the known end that must be the same


@dataclass(frozen=True)
class Chunk:
    """Bytes of a log from `start` on. `size`: of the whole log when they were read."""

    start: int
    data: bytes
    size: int

    @property
    def end(self) -> int:
        return self.start + len(self.data)


@dataclass(frozen=True)
class LogPosition:
    """How far a log is known, and its last bytes there: another log has others."""

    offset: int = 0
    tail: bytes = b""

    @classmethod
    def after(cls, data: bytes) -> LogPosition:
        """The position after `data`, all of which is known."""
        return cls(len(data), data[-TAIL:])

    @property
    def begin(self) -> int:
        """Whoever reads on from here sees whether it is the same log."""
        return self.offset - len(self.tail)

    def is_in(self, piece: Chunk) -> bool:
        """Whether `piece`, asked for from `begin` on, can be of the same log.

        Where a secret is blotted out in one of the two, anything may stand in the other. Of a log
        that let go of all these bytes nothing can be told: it counts as the same.
        """
        known = self.tail[max(0, piece.start - self.begin) :]
        pairs = zip(known, piece.data, strict=False)
        return piece.size >= self.offset and all(a == b or BLOT[0] in (a, b) for a, b in pairs)

    def past(self, piece: Chunk) -> tuple[LogPosition, bytes]:
        """What `piece` has beyond this mark, and the mark after it."""
        new = piece.data[max(0, self.offset - piece.start) :]
        known = self.tail if piece.start <= self.offset else b""
        return LogPosition(piece.end, (known + new)[-TAIL:]), new
