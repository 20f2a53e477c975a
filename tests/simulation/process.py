"""One podctl process: every effect takes time, and any of them may be its last."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from controller.errors import PodctlError
from state.journal import Journal
from state.ledger import Ledger
from tests.simulation.cloud import EPOCH
from tests.simulation.event_loop import Hub
from tests.simulation.fault_schedule import Fate
from tests.simulation.unexpected_error import Surprise, spoiled

T = TypeVar("T")


class Killed(BaseException):
    """SIGKILL: nothing of the process runs any more."""


@dataclass
class Process:
    """What the operating system knows of it."""

    hub: Hub
    fate: Fate
    dead: bool = False
    asleep: bool = False  # its lid is closed
    woke: float = 0.0  # the last time that it was opened

    def effect(self, seconds: float, act: Callable[[], T]) -> T:
        """Do something to the world: it happens in the middle of its `seconds`."""
        self.fate.tally.effects += 1
        self.risk()
        self._pass(seconds / 2)
        try:
            return act()
        finally:
            self._pass(seconds / 2)
            self.risk()

    def _pass(self, seconds: float) -> None:
        if self.dead:
            raise Killed
        if seconds:
            self.hub.sleep(seconds)

    def sleep(self, seconds: float) -> None:
        self.risk()
        self._pass(max(0.001, seconds))

    def risk(self) -> None:
        """Between any two moments the lid may be closed, or the process killed."""
        if self.dead or self.fate.chance(self.fate.kill):
            self.dead = True
            self.fate.tally.kills += 1
            raise Killed
        if self.fate.chance(self.fate.lid):
            self.fate.tally.lids += 1
            self.asleep = True
            self._pass(self.fate.between(60.0, 9 * 3600.0))
            self.asleep, self.woke = False, self.hub.now


@dataclass
class VirtualClock:
    """The loop's clock."""

    process: Process

    def now(self) -> float:
        return self.process.hub.now

    def wall(self) -> float:
        return EPOCH + self.process.hub.now

    def wait(self, seconds: float) -> None:
        self.process.sleep(seconds)


@dataclass(frozen=True)
class RiskyJournal(Journal):
    """Every row may be the last thing that a process writes, or the first that it does not."""

    process: Process | None = None
    surprise: Surprise | None = None

    def _append(self, *words: Any) -> int:
        assert self.process is not None
        lease, run, step, phase, of, data = words
        written = spoiled(self.surprise, step, phase, data)
        append = super()._append
        return self.process.effect(0.0, lambda: append(lease, run, step, phase, of, written))

    def finish_run(self, run: str, outcome: str, data: Any = None) -> None:
        assert self.process is not None
        self.process.effect(0.0, lambda: super(RiskyJournal, self).finish_run(run, outcome, data))

    def close_lease(self, lease: str, outcome: str) -> None:
        assert self.process is not None
        self.process.effect(0.0, lambda: super(RiskyJournal, self).close_lease(lease, outcome))


@dataclass(frozen=True)
class RiskyLedger(Ledger):
    """The same for money."""

    process: Process | None = None

    def open_interval(self, **words: Any) -> int:
        assert self.process is not None
        return self.process.effect(0.0, lambda: super(RiskyLedger, self).open_interval(**words))

    def close_all(self, pod_id: str, at: float, source: str) -> int:
        assert self.process is not None
        return self.process.effect(
            0.0, lambda: super(RiskyLedger, self).close_all(pod_id, at, source)
        )


def explained(error: PodctlError) -> str:
    return f"{error.code}: {error.what}"
