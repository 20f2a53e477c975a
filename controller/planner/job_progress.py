"""The progress of a running job: step, pace, time left, or that it has stalled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from controller.terminal.sanitize import clean_line
from remote.contract import Progress, number

STUCK_SECONDS = 300.0  # without a step after which the job is reported as stalled
STUCK_FACTOR = 5.0  # or this multiple of a step's usual time, if steps are slow
LEAST_STEPS = 2  # needed for a rate
LONGEST = 1e12  # largest plausible number of seconds or steps
MAX_FIGURES = 6
MAX_NAME = 40
_SHORT = {"learning_rate": "lr"}


@dataclass
class JobProgress:
    """The steps of one attempt as they were observed. Times are seconds of one clock.

    Pace and age that the pod reports take precedence, because it observes every step.
    """

    first: tuple[int, float] | None = field(default=None)  # step, when it was seen
    newest: tuple[int, float] | None = field(default=None)

    def see(self, step: int | None, now: float) -> None:
        """Add an observation; a step below the last one belongs to another attempt."""
        if step is None:
            return
        if self.newest is None or step < self.newest[0]:
            self.first = self.newest = (step, now)
        elif step > self.newest[0]:
            self.newest = (step, now)

    def seconds_a_step(self) -> float | None:
        """The observed pace; None before enough steps were observed."""
        if self.first is None or self.newest is None:
            return None
        steps = self.newest[0] - self.first[0]
        return (self.newest[1] - self.first[1]) / steps if steps >= LEAST_STEPS else None

    def steps(self, progress: Progress, now: float) -> Steps | None:
        """The steps as known now; None before the first step."""
        if progress.step is None:
            return None
        pace, age = _time(progress.seconds_per_step), _time(progress.step_age)
        if progress.step_age is None:
            pace, age = self.seconds_a_step(), now - self.newest[1] if self.newest else None
        return Steps(
            step=progress.step,
            max_steps=progress.max_steps,
            source=clean_line(progress.source or "")[:MAX_NAME],
            seconds_per_step=pace or None,
            step_at=None if age is None else now - age,
            patience=_time(progress.patience) or max(STUCK_SECONDS, STUCK_FACTOR * (pace or 0.0)),
        )

    def words(self, progress: Progress, now: float) -> list[str]:
        """Step, rate and time left; or the time without a step."""
        found = self.steps(progress, now)
        return found.words(now) if found is not None else []


@dataclass(frozen=True)
class Steps:
    """A job's steps at one observation. Times are of the clock of that observation."""

    step: int
    max_steps: int | None
    source: str  # log, metrics, or the kind of file that reports it; empty: unknown
    seconds_per_step: float | None
    step_at: float | None  # when the last step was observed
    patience: float  # seconds without a step that are still normal

    @property
    def seconds_left(self) -> float | None:
        """The time left at that pace; None when pace or last step is unknown."""
        if self.seconds_per_step is None or not self.max_steps:
            return None
        return self.seconds_per_step * max(0, self.max_steps - self.step)

    def silent(self, now: float) -> float | None:
        """Seconds without a step when that is unusual, else None."""
        if self.step_at is None or now - self.step_at <= self.patience:
            return None
        return now - self.step_at

    def words(self, now: float) -> list[str]:
        """Step, rate and time left; or the time without a step."""
        found = [f"step {self.step}/{self.max_steps}" if self.max_steps else f"step {self.step}"]
        if (silent := self.silent(now)) is not None:
            return [*found, f"no step for {span(silent)}"]
        if (pace := self.seconds_per_step) is not None:
            found.append(f"{1 / pace:.1f} it/s" if pace < 1 else f"{pace:.1f} s/it")
        if (left := self.seconds_left) is not None:
            found.append(f"{span(left)} left")
        return found

    def as_dict(self, now: float) -> dict[str, Any]:
        """The fields of --json, including whether the job seems stalled."""
        return {
            "step": self.step,
            "max_steps": self.max_steps,
            "source": self.source,
            "seconds_per_step": self.seconds_per_step,
            "seconds_left": self.seconds_left,
            "step_at": self.step_at,
            "seconds_without_step": self.silent(now),
        }


def steps_told(data: Mapping[str, Any], at: float) -> Steps | None:
    """A job's steps by its stored status of `at`, Unix seconds; old ones lack some fields."""
    step, most = _count(data.get("step")), _count(data.get("max_steps"))
    if step is None:
        return None
    source, age = data.get("source"), _time(data.get("step_age"))
    return Steps(
        step=step,
        max_steps=most,
        source=clean_line(source)[:MAX_NAME] if isinstance(source, str) else "",
        seconds_per_step=_time(data.get("seconds_per_step")) or None,
        step_at=None if age is None else at - age,
        patience=_time(data.get("patience")) or STUCK_SECONDS,
    )


def figures_told(figures: Any) -> dict[str, float]:
    """The first figures, such as learning rate or reward, with sanitised names."""
    if not isinstance(figures, Mapping):
        return {}
    named = ((clean_line(str(name))[:MAX_NAME], number(one)) for name, one in figures.items())
    found = [(name, one) for name, one in named if name and one is not None]
    return dict(found[:MAX_FIGURES])


def figure_words(figures: Mapping[str, float]) -> list[str]:
    """ "lr 2e-05", "reward 0.5"."""
    return [f"{_SHORT.get(name, name)} {value:.4g}" for name, value in figures.items()]


def _count(value: Any) -> int | None:
    """A plausible number of steps, else None."""
    found = number(value)
    return int(found) if found is not None and 0 <= found <= LONGEST else None


def _time(value: Any) -> float | None:
    """A plausible duration in seconds, else None."""
    found = number(value)
    return found if found is not None and 0 <= found <= LONGEST else None


def span(seconds: float) -> str:
    """A duration in at most two units: "40 s", "12 min", "3 h 20 min"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"
