"""Progress of a transfer: amount done, rate and time left. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from controller.planner.job_progress import span

WINDOW_SECONDS = 20.0  # over which the rate is averaged
LEAST_SECONDS = 1.0  # of measurements before a rate is shown
STILL_SECONDS = 10.0  # without a byte before the transfer counts as stalled
_UNITS = (("GB", 1e9), ("MB", 1e6), ("kB", 1e3))


@dataclass(frozen=True)
class TransferProgress:
    """Files and bytes transferred (or read) so far, and in total."""

    files_done: int
    files_total: int
    bytes_done: int
    bytes_total: int

    @property
    def complete(self) -> bool:
        return (self.files_done, self.bytes_done) >= (self.files_total, self.bytes_total)


@dataclass
class TransferRate:
    """The rate of one transfer, from calls of `see`. Times are seconds of one clock."""

    _samples: deque[tuple[float, int]] = field(default_factory=deque)
    _moved_at: float | None = None

    def see(self, done: int, now: float) -> None:
        """Record that `done` bytes were transferred at `now`; a lower count starts a new
        transfer."""
        if self._samples and done < self._samples[-1][1]:
            self._samples.clear()
        if not self._samples or done > self._samples[-1][1]:
            self._moved_at = now
        self._samples.append((now, done))
        while len(self._samples) > 2 and self._samples[1][0] <= now - WINDOW_SECONDS:
            self._samples.popleft()

    def bytes_per_second(self) -> float | None:
        """The average over the last WINDOW_SECONDS; None before LEAST_SECONDS have passed."""
        if not self._samples:
            return None
        (since, before), (now, done) = self._samples[0], self._samples[-1]
        return (done - before) / (now - since) if now - since >= LEAST_SECONDS else None

    def still(self, now: float) -> float:
        """Seconds since the last byte moved."""
        return 0.0 if self._moved_at is None else now - self._moved_at


def transfer_words(progress: TransferProgress, rate: TransferRate, now: float) -> list[str]:
    """Phrases for files, bytes, rate and time left, or for how long nothing has moved."""
    phrases = []
    if progress.files_total > 1:
        phrases.append(f"{progress.files_done} of {progress.files_total} files")
    phrases.append(amount(progress.bytes_done, progress.bytes_total))
    remaining = progress.bytes_total - progress.bytes_done
    if remaining > 0 and (still := rate.still(now)) > STILL_SECONDS:
        return [*phrases, f"nothing moved for {span(still)}"]
    speed = rate.bytes_per_second()
    if speed is not None and speed > 0 and remaining > 0:
        phrases += [f"{size(speed)}/s", f"{span(remaining / speed)} left"]
    return phrases


def amount(done: int, total: int) -> str:
    """ "120.3 of 500.0 MB": both numbers in the unit of the total."""
    for unit, unit_bytes in _UNITS:
        if total >= unit_bytes:
            digits = 2 if unit == "GB" else 1
            return f"{done / unit_bytes:.{digits}f} of {total / unit_bytes:.{digits}f} {unit}"
    return f"{done} of {total} B"


def size(count: float) -> str:
    for unit, unit_bytes in _UNITS:
        if count >= unit_bytes:
            return f"{count / unit_bytes:.1f} {unit}"
    return f"{count:.0f} B"
