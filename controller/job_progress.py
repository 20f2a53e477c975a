"""How a running job gets on: its step, its pace, the time left, or that no step comes any more."""

from __future__ import annotations

from dataclasses import dataclass, field

from remote.contract import Progress

STUCK_SECONDS = 300.0  # without a step, after which that is said
STUCK_FACTOR = 5.0  # or so many times what a step took before, where steps are slow
LEAST_STEPS = 2  # that a rate is made of


@dataclass
class JobProgress:
    """The steps of one attempt as looks find them. Times are seconds of one clock."""

    first: tuple[int, float] | None = field(default=None)  # step, when it was seen
    newest: tuple[int, float] | None = field(default=None)

    def see(self, step: int | None, now: float) -> None:
        """One look; a step below the last one is another attempt's."""
        if step is None:
            return
        if self.newest is None or step < self.newest[0]:
            self.first = self.newest = (step, now)
        elif step > self.newest[0]:
            self.newest = (step, now)

    def seconds_a_step(self) -> float | None:
        """None before enough of them were seen."""
        if self.first is None or self.newest is None:
            return None
        steps = self.newest[0] - self.first[0]
        return (self.newest[1] - self.first[1]) / steps if steps >= LEAST_STEPS else None

    def seconds_left(self, progress: Progress) -> float | None:
        """Until the last step at this pace; None where the pace or the last step is not known."""
        pace = self.seconds_a_step()
        if not pace or progress.step is None or not progress.max_steps:
            return None
        return pace * max(0, progress.max_steps - progress.step)

    def words(self, progress: Progress, now: float) -> list[str]:
        """Step, rate and time left; or for how long no step was seen."""
        if progress.step is None:
            return []
        most = f"/{progress.max_steps}" if progress.max_steps else ""
        found = [f"step {progress.step}{most}"]
        pace = self.seconds_a_step()
        if self.newest is not None and (silent := now - self.newest[1]) > _patience(pace):
            return [*found, f"no step for {span(silent)}"]
        if pace is not None and pace > 0:
            found.append(f"{1 / pace:.1f} it/s" if pace < 1 else f"{pace:.1f} s/it")
            if progress.max_steps:
                found.append(f"{span(pace * max(0, progress.max_steps - progress.step))} left")
        return found


def _patience(pace: float | None) -> float:
    return max(STUCK_SECONDS, STUCK_FACTOR * (pace or 0.0))


def span(seconds: float) -> str:
    """A length of time in its two largest units at most: "40 s", "12 min", "3 h 20 min"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"
