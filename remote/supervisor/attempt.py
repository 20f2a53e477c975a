"""What every part of a supervisor has in hand: the run, this boot, the watch and the pulse."""

from __future__ import annotations

import contextlib
import time

from ..contract import JobSpec
from ..pod.paths import PodPaths, boot
from .background import CurrentPhase
from .intervals import Intervals
from .stop_conditions import StopConditions


class AttemptContext:
    """One attempt at one run, as long as its supervisor lives."""

    def __init__(self, paths: PodPaths, spec: JobSpec, attempt: int) -> None:
        self.paths, self.spec, self.attempt = paths, spec, attempt
        self.run, self.work = paths.run(spec.run), paths.work(spec.run)
        self.log = self.run / "job.log"
        self.boot, self.pace = boot(paths.local), Intervals.from_environment()
        self.pulse = CurrentPhase()
        self.watch = StopConditions(spec, paths, self.boot, attempt, self.pace)

    def enter(self, phase: str, text: str) -> None:
        self.pulse.phase, self.pulse.text = phase, text
        self.pulse.tick()

    def tick(self) -> None:
        """A moment; raises `StopJob` when it is time to end."""
        self.watch.poll()
        self.breathe()

    def breathe(self) -> None:
        """A moment, whatever happens."""
        self.pulse.tick()
        time.sleep(self.pace.tick)

    def say(self, text: str) -> None:
        """One line of the job's log."""
        with contextlib.suppress(OSError), self.log.open("ab") as log:
            log.write(f"podctl: {' '.join(text.split())}\n".encode(errors="replace"))
