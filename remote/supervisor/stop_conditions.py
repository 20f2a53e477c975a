"""Reasons to end a job early, checked at every tick."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from ..contract import JobSpec
from ..light_dataclasses import dataclass
from ..pod import atomic_files, handover, log_file
from ..pod.outcome import StopJob
from ..pod.paths import Boot, PodPaths, record
from ..pod.walk import Found
from .intervals import Intervals


@dataclass
class Progress:
    """When the job last showed a sign of progress, by the monotonic clock."""

    at: float
    _signs: tuple[int, ...] = ()

    def note(self, signs: tuple[int, ...], gpu_busy: bool, now: float) -> None:
        """`signs` are numbers that change when the job gets on: sizes and times of its files."""
        if gpu_busy or signs != self._signs:
            self.at = now
        self._signs = signs


class StopConditions:
    """Raises `StopJob` from `poll` when it is time to end."""

    def __init__(
        self, spec: JobSpec, paths: PodPaths, boot: Boot, attempt: int, pace: Intervals
    ) -> None:
        self._spec, self._place, self._boot = spec, paths, boot
        self._attempt, self._pace = attempt, pace
        self._run = paths.run(spec.run)
        self._next_slow = 0.0
        self.started = time.monotonic()
        self.progress: Progress | None = None  # only while the job itself runs
        self.signalled = False  # SIGTERM came
        self.gpu_busy = False  # as last sampled
        self.outputs: dict[str, Found] = {}  # as last seen

    def evicted(self) -> bool:
        """The container is being stopped."""
        if not self.signalled:
            note = atomic_files.read(self._place.eviction, 128)
            self.signalled = note is not None and note.strip() == self._boot.id.encode()
        return self.signalled

    def poll(self) -> None:
        """Check cheap conditions at each call, those on the volume once a heartbeat."""
        if self.evicted():
            raise StopJob("evicted", "the container is being stopped")
        now = time.monotonic()
        if now - self.started >= self._spec.max_seconds:
            raise StopJob(
                "budget", f"the declared budget of {self._spec.max_seconds:g} s is used up"
            )
        if now >= self._next_slow:
            self._next_slow = now + self._pace.heartbeat
            with contextlib.suppress(OSError):  # a volume that is full or away for a moment
                self._poll_volume(now)

    def _poll_volume(self, now: float) -> None:
        if pod := handover.superseded(self._run, self._boot):
            raise StopJob("superseded", f"pod {pod} took this run over")
        for path in (self._run / "stop.json", self._place.stop):
            asked = record(path) or {}
            if (asked.get("run"), asked.get("attempt")) == (self._spec.run, self._attempt):
                raise StopJob("stopped", str(asked.get("reason") or "stopped on request"))
        log = self._run / "job.log"
        if self.progress is not None:
            self.progress.note(self._signs(log), self.gpu_busy, now)
            if now - self.progress.at >= self._spec.stall_seconds:
                stall = self._spec.stall_seconds
                raise StopJob("stalled", f"no log, metric, output or GPU activity for {stall:g} s")
        # Last: it writes, and a full volume must not keep a job that hangs.
        if not log_file.trim(log, self._spec.log_cap_bytes):
            cap = self._spec.log_cap_bytes
            raise StopJob(
                "disk-full", f"the log is over its cap of {cap} bytes and cannot be trimmed"
            )

    def _signs(self, log: Path) -> tuple[int, ...]:
        newest = max((output.identity[3] for output in self.outputs.values()), default=0)
        total = sum(output.size for output in self.outputs.values())
        metrics = log_file.size(self._run / "metrics.jsonl")
        return log_file.size(log), metrics, newest, total, len(self.outputs)
