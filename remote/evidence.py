"""Selects the source of a job's progress among several, and derives its pace; pure.

A job may tell its steps in its metrics, its log and the files of its framework, in units that
differ (a bar of an epoch, the whole training's steps). One source leads: the best one that has told
a step, for as long as it goes on telling; another that gets on while it is silent takes its place.
"""

from __future__ import annotations

from typing import NamedTuple

from .contract import Progress
from .light_dataclasses import dataclass, field

METRICS, LOG, EVENTS, STATE = "metrics", "log", "TensorBoard", "trainer_state.json"
TRAINER_LOG = "trainer_log.jsonl"
RANK = (METRICS, LOG, TRAINER_LOG, EVENTS, STATE)  # ties are settled in this order
SELDOM = (STATE,)  # reported at checkpoints only: the time to the first one is a gap too
LEAD_SECONDS = 60.0  # for which a silent source leads on at least
LEAD_GAPS = 3.0  # or so many times as long as it was silent before
QUIET_SECONDS = 300.0  # without a step, after which that is reported
QUIET_STEPS, QUIET_GAPS = 5.0, 2.5  # or the time of so many steps, or so many earlier gaps
LEAST_STEPS = 2  # that a pace is made of
MAX_FIGURES = 6
MAX_NAME = 40  # characters


class SourceReport(NamedTuple):
    """The values that a source reports now; None for those that it does not report."""

    step: int | None = None
    max_steps: int | None = None
    loss: float | None = None
    figures: dict[str, float] | None = None  # learning rate, rewards, accuracies


@dataclass
class Source:
    """One source of progress. Times are seconds of one clock."""

    begun: float
    seldom: bool = False
    step: int | None = None
    max_steps: int | None = None
    first: tuple[int, float] | None = None  # step, and when it was seen
    at: float = 0.0  # when the newest step was seen first
    gap: float = 0.0  # the longest time between two steps
    loss: tuple[float, float] | None = None  # and when it was seen first
    figures: dict[str, tuple[float, float]] = field(default_factory=dict)

    def see(self, report: SourceReport, now: float) -> None:
        """Record a report. A lower step starts another count."""
        if report.max_steps is not None:
            self.max_steps = report.max_steps
        if report.step is not None and report.step != self.step:
            self._step(report.step, now)
        if report.loss is not None and (self.loss is None or self.loss[0] != report.loss):
            self.loss = (report.loss, now)
        for name, value in (report.figures or {}).items():
            if name in self.figures or len(self.figures) < MAX_FIGURES:
                self.figures[name[:MAX_NAME]] = (value, now)

    def _step(self, step: int, now: float) -> None:
        if self.step is None:
            self.gap = now - self.begun if self.seldom else 0.0
        elif step > self.step:
            self.gap = max(self.gap, now - self.at)
        if self.first is None or (self.step is not None and step < self.step):
            self.first = (step, now)
        self.step, self.at = step, now

    def pace(self) -> float | None:
        """Seconds a step."""
        if self.first is None or self.step is None or self.step - self.first[0] < LEAST_STEPS:
            return None
        return (self.at - self.first[1]) / (self.step - self.first[0])

    def patience(self) -> float:
        """Seconds without a step that are still normal."""
        return max(QUIET_SECONDS, QUIET_STEPS * (self.pace() or 0.0), QUIET_GAPS * self.gap)

    def leads_until(self) -> float:
        return self.at + max(LEAD_SECONDS, LEAD_GAPS * self.gap)


class Evidence:
    """All sources of one attempt, which started at `begun`."""

    def __init__(self, begun: float) -> None:
        self._begun = begun
        self._sources: dict[str, Source] = {}
        self._leader = ""

    def see(self, name: str, report: SourceReport, now: float) -> None:
        """Record the report of source `name`, one of `RANK`, at `now`."""
        source = self._sources.setdefault(name, Source(self._begun, name in SELDOM))
        source.see(report, now)
        if source.step is None or source.at < now:
            return
        leader = self._sources.get(self._leader)
        better = leader is None or RANK.index(name) < RANK.index(self._leader)
        if better or (leader is not None and now > leader.leads_until()):
            self._leader = name

    def progress(self, now: float) -> Progress:
        """The progress by the leading source, with the newest loss of any."""
        leader = self._sources.get(self._leader)
        losses = [source.loss for source in self._sources.values() if source.loss is not None]
        loss = max(losses, key=lambda source: source[1])[0] if losses else None
        figures: dict[str, tuple[float, float]] = {}
        for source in self._sources.values():
            for name, pair_of_source in source.figures.items():
                if name not in figures or figures[name][1] < pair_of_source[1]:
                    figures[name] = pair_of_source
        shown = {name: value for name, (value, _) in list(figures.items())[:MAX_FIGURES]}
        if leader is None:
            return Progress(loss=loss, figures=shown)
        return Progress(
            step=leader.step,
            max_steps=leader.max_steps or self._most(leader),
            loss=loss,
            source=self._leader,
            seconds_per_step=leader.pace(),
            step_age=max(0.0, now - leader.at),
            patience=leader.patience(),
            figures=shown,
        )

    def _most(self, leader: Source) -> int | None:
        """The last step by another account, where the leader names none and has not passed it."""
        known = [source.max_steps for source in self._sources.values() if source.max_steps]
        most = max(known, default=None)
        return most if most is not None and (leader.step or 0) <= most else None
