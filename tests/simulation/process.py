"""A simulated podctl process: each effect takes time, and it may be killed at any of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from controller.errors import PodctlError
from state.journal import Journal
from state.ledger import Ledger
from tests.simulation.cloud import EPOCH
from tests.simulation.event_loop import EventLoop
from tests.simulation.fault_schedule import FaultSchedule
from tests.simulation.unexpected_error import InjectedError, spoiled

T = TypeVar("T")


class Killed(BaseException):
    """The process was killed by SIGKILL."""


@dataclass
class Process:
    """The process as the operating system sees it."""

    event_loop: EventLoop
    faults: FaultSchedule
    dead: bool = False
    asleep: bool = False  # the machine is suspended
    woke: float = 0.0  # when the machine last resumed

    def effect(self, seconds: float, act: Callable[[], T]) -> T:
        """Call `act`, which affects the world, in the middle of `seconds` of virtual time."""
        self.faults.tally.effects += 1
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
            self.event_loop.sleep(seconds)

    def sleep(self, seconds: float) -> None:
        self.risk()
        self._pass(max(0.001, seconds))

    def risk(self) -> None:
        """Kill the process or suspend the machine, with the probabilities of the schedule."""
        if self.dead or self.faults.chance(self.faults.kill):
            self.dead = True
            self.faults.tally.kills += 1
            raise Killed
        if self.faults.chance(self.faults.lid):
            self.faults.tally.lids += 1
            self.asleep = True
            self._pass(self.faults.between(60.0, 9 * 3600.0))
            self.asleep, self.woke = False, self.event_loop.now


@dataclass
class VirtualClock:
    """The loop's clock."""

    process: Process

    def now(self) -> float:
        return self.process.event_loop.now

    def wall(self) -> float:
        return EPOCH + self.process.event_loop.now

    def wait(self, seconds: float) -> None:
        self.process.sleep(seconds)


@dataclass(frozen=True)
class InterruptibleJournal(Journal):
    """A journal whose process may be killed before or after each row that it writes."""

    process: Process | None = None
    injected_error: InjectedError | None = None

    def _append(self, *words: Any) -> int:
        assert self.process is not None
        lease, run, step, phase, of, data = words
        written = spoiled(self.injected_error, step, phase, data)
        append = super()._append
        return self.process.effect(0.0, lambda: append(lease, run, step, phase, of, written))

    def finish_run(self, run: str, outcome: str, data: Any = None) -> None:
        assert self.process is not None
        self.process.effect(
            0.0, lambda: super(InterruptibleJournal, self).finish_run(run, outcome, data)
        )

    def close_lease(self, lease: str, outcome: str) -> None:
        assert self.process is not None
        self.process.effect(
            0.0, lambda: super(InterruptibleJournal, self).close_lease(lease, outcome)
        )


@dataclass(frozen=True)
class InterruptibleLedger(Ledger):
    """A ledger whose process may be killed before or after each write."""

    process: Process | None = None

    def open_interval(self, **words: Any) -> int:
        assert self.process is not None
        return self.process.effect(
            0.0, lambda: super(InterruptibleLedger, self).open_interval(**words)
        )

    def close_all(self, pod_id: str, at: float, source: str) -> int:
        assert self.process is not None
        return self.process.effect(
            0.0, lambda: super(InterruptibleLedger, self).close_all(pod_id, at, source)
        )


def explained(error: PodctlError) -> str:
    return f"{error.code}: {error.what}"
