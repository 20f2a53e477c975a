"""Follows the steps of a log as it grows, over epochs and past the bars of other loops; pure.

A bar that ends and begins again is another epoch, and the steps go on. A bar with another total is
another loop (an evaluation) while the first one is not over, and for some time after that.
"""

from __future__ import annotations

from .evidence import SourceReport
from .light_dataclasses import dataclass
from .steps import Report, figures, lines_of, report

OTHER_SECONDS = 600.0  # without the loop that is followed, after which another one is
AFTER_SECONDS = 120.0  # the same once it has come to its end


@dataclass
class LogReader:
    """What was read so far. Times are seconds of one clock."""

    _total: int | None = None  # of the bar, or epoch, that is followed
    _step: int = 0  # in it
    _before: int = 0  # steps of the epochs before
    _at: float = 0.0  # when it was seen last
    _epoch: int | None = None
    _epochs: int | None = None
    _from_zero: bool = False
    _most: int | None = None  # the last step, where the log says it
    _trains: bool = False  # a training was seen

    def feed(self, text: str, now: float) -> SourceReport:
        """What more of the log says: the newest value of each field."""
        step = loss = epoch = None
        for line in lines_of(text):
            parsed = report(line)
            loss = parsed.loss if parsed.loss is not None else loss
            epoch = parsed.epoch if parsed.epoch is not None else epoch
            self._hear_epoch(parsed)
            if parsed.step is None:
                self._most = parsed.max_steps or self._most
            elif self._follows(parsed, now):
                step = self._count(parsed, now)
        if step is None and self._total is None and epoch:  # nothing finer is told
            return SourceReport(epoch, self._epochs, loss, figures(text))
        return SourceReport(step, self._last() if step is not None else None, loss, figures(text))

    def _hear_epoch(self, report: Report) -> None:
        if report.epoch is None:
            return
        self._from_zero = self._from_zero or report.from_zero
        if self._epoch is not None and report.epoch > self._epoch and report.step is None:
            self._end_epoch()  # Keras: the number stands in a line of its own
        if self._epoch is not None and report.epoch < self._epoch and report.step is None:
            self._before, self._step = 0, 0  # another training
        if report.step is None:
            self._epoch = report.epoch
        self._epochs = report.epochs or self._epochs

    def _end_epoch(self) -> None:
        self._before, self._step = self._before + (self._total or self._step), 0

    def _follows(self, report: Report, now: float) -> bool:
        """Whether it counts what is followed, or shall be followed from now on."""
        if report.work and self._trains:
            return False
        if not report.work and not self._trains:
            self._trains, self._total, self._step, self._before = True, None, 0, 0
            return True
        if report.max_steps == self._total or report.max_steps is None or self._total is None:
            return True
        over = self._step >= self._total
        silent = now - self._at
        larger = over and report.max_steps > self._total
        if not larger and silent < (AFTER_SECONDS if over else OTHER_SECONDS):
            return False
        self._before, self._step, self._epoch = 0, 0, None
        return True

    def _count(self, report: Report, now: float) -> int:
        """The step over all epochs."""
        step = report.step or 0
        if report.epoch is not None and report.epoch != self._epoch:
            self._begin_epoch(report)
        elif step < self._step and self._total is not None and self._step >= self._total:
            self._end_epoch()
        self._total = report.max_steps if report.max_steps is not None else self._total
        self._step, self._at = step, now
        return self._before + step

    def _begin_epoch(self, report: Report) -> None:
        assert report.epoch is not None
        length = report.max_steps or self._total
        done = report.epoch - (0 if self._from_zero else 1)
        if report.max_steps is None:  # words: whether they count on is seen by whether they fall
            self._before += self._step if (report.step or 0) < self._step else 0
        elif length is not None:
            self._before = max(0, done) * length
        self._epoch = report.epoch

    def _last(self) -> int | None:
        """The last step of all."""
        if self._epochs is not None and self._total is not None and self._epoch is not None:
            return self._total * (self._epochs + (1 if self._from_zero else 0))
        if self._before or self._epoch is not None:
            return self._most
        return self._total or self._most
