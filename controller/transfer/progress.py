"""How far files are on their way: done of how much, how fast, and the time left; pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from controller.planner.job_progress import span

WINDOW_SECONDS = 20.0  # that a rate is made of
LEAST_SECONDS = 1.0  # before which there is none
STILL_SECONDS = 10.0  # without a byte, after which that is said
_UNITS = (("GB", 1e9), ("MB", 1e6), ("kB", 1e3))


@dataclass(frozen=True)
class TransferProgress:
    """What came, went or was read so far, and all that is to."""

    files_done: int
    files_total: int
    bytes_done: int
    bytes_total: int

    @property
    def whole(self) -> bool:
        return (self.files_done, self.bytes_done) >= (self.files_total, self.bytes_total)


@dataclass
class TransferRate:
    """The pace of one transfer as calls of `see` find it. Times are seconds of one clock."""

    _seen: deque[tuple[float, int]] = field(default_factory=deque)
    _moved_at: float | None = None

    def see(self, done: int, now: float) -> None:
        """`done` bytes by now; fewer than before is a transfer that began again."""
        if self._seen and done < self._seen[-1][1]:
            self._seen.clear()
        if not self._seen or done > self._seen[-1][1]:
            self._moved_at = now
        self._seen.append((now, done))
        while len(self._seen) > 2 and self._seen[1][0] <= now - WINDOW_SECONDS:
            self._seen.popleft()

    def bytes_per_second(self) -> float | None:
        """Over the last seconds; None before there were enough of them."""
        if not self._seen:
            return None
        (since, before), (now, done) = self._seen[0], self._seen[-1]
        return (done - before) / (now - since) if now - since >= LEAST_SECONDS else None

    def still(self, now: float) -> float:
        """Seconds since the last byte moved."""
        return 0.0 if self._moved_at is None else now - self._moved_at


def transfer_words(progress: TransferProgress, rate: TransferRate, now: float) -> list[str]:
    """Files, bytes, rate and time left; or for how long nothing has moved."""
    found = []
    if progress.files_total > 1:
        found.append(f"{progress.files_done} of {progress.files_total} files")
    found.append(amount(progress.bytes_done, progress.bytes_total))
    left = progress.bytes_total - progress.bytes_done
    if left > 0 and (still := rate.still(now)) > STILL_SECONDS:
        return [*found, f"nothing moved for {span(still)}"]
    speed = rate.bytes_per_second()
    if speed is not None and speed > 0 and left > 0:
        found += [f"{size(speed)}/s", f"{span(left / speed)} left"]
    return found


def amount(done: int, total: int) -> str:
    """ "120.3 of 500.0 MB": both in the unit of the whole."""
    for unit, bytes_of in _UNITS:
        if total >= bytes_of:
            digits = 2 if unit == "GB" else 1
            return f"{done / bytes_of:.{digits}f} of {total / bytes_of:.{digits}f} {unit}"
    return f"{done} of {total} B"


def size(count: float) -> str:
    for unit, bytes_of in _UNITS:
        if count >= bytes_of:
            return f"{count / bytes_of:.1f} {unit}"
    return f"{count:.0f} B"
