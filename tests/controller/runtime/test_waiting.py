"""The pause between two looks at a job: the pod may end it early, and can neither skip nor stretch
it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from controller.errors import ConnectionLost
from controller.planner.lease_state import RunFacts
from controller.planner.observation import Contact
from controller.providers.base import Endpoint
from controller.runtime.background_call import call_with_ticks
from controller.runtime.ssh_runtime import LEAST_PAUSE, SshJobRuntime
from remote.contract import Status

RUN = RunFacts("a-0001", "a", uploaded_to="p1", started=True)
ENDPOINT = Endpoint("127.0.0.1", 1, "root")


@dataclass
class VirtualClock:
    time: float = 0.0

    def now(self) -> float:
        return self.time

    def wait(self, seconds: float) -> None:
        self.time += seconds


@dataclass(frozen=True)
class Answering(SshJobRuntime):
    """Each entry is what one request to the pod answers, and the seconds that it takes."""

    answers: list[tuple[str, float]] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)

    def _ask(self, pod: str, endpoint: Endpoint, run: RunFacts, pause: float) -> Contact:
        mark, seconds = self.answers.pop(0)
        self.pauses.append(pause)
        self.context.clock.wait(seconds)
        if mark == "error":
            raise ValueError("not a status")
        self._marks[run.run] = mark
        return Contact(True, status=Status(run.run, "running", "boot", mark=mark))


def looks(*answers: tuple[str, float]) -> tuple[Answering, VirtualClock]:
    clock = VirtualClock()
    runtime = Answering(cast(Any, SimpleNamespace(clock=clock)), answers=list(answers))
    for _ in answers:
        runtime.ask("p1", ENDPOINT, RUN, 2.0)
    return runtime, clock


def test_a_change_ends_the_pause() -> None:
    """The first look has nothing to compare with: it waits here; the second one waits there."""
    runtime, clock = looks(("one", 0.0), ("two", 0.7))

    assert runtime.pauses == [0.0, 2.0]
    assert clock.now() == pytest.approx(2.7)


def test_an_agent_that_cannot_wait_is_asked_at_the_usual_pace() -> None:
    """One of an earlier podctl gives no mark, and is never sent an option that it does not know."""
    runtime, clock = looks(("", 0.0), ("", 0.0), ("", 0.0))

    assert runtime.pauses == [0.0, 0.0, 0.0]
    assert clock.now() == pytest.approx(6.0)


def test_a_pod_cannot_make_the_loop_spin() -> None:
    """It may answer at once with the same, with nonsense, or always with something new."""
    _, same = looks(("one", 0.0), ("one", 0.0))
    _, nonsense = looks(("one", 0.0), ("error", 0.0), ("error", 0.0))
    _, new = looks(("one", 0.0), *((str(number), 0.0) for number in range(10)))

    assert same.now() == pytest.approx(4.0)
    assert nonsense.now() >= 6.0
    assert new.now() == pytest.approx(2.0 + 10 * LEAST_PAUSE)


def test_the_view_is_told_of_the_time_while_a_call_waits() -> None:
    """The call ends with its result, or with what it raised, however often the view fails."""
    ticked = threading.Event()

    def tick() -> None:
        ticked.set()
        raise ValueError("the display")

    def fail() -> None:
        raise ConnectionLost("the connection to the pod was lost")

    assert call_with_ticks(lambda: ticked.wait(30), tick)
    with pytest.raises(ConnectionLost):
        call_with_ticks(fail, tick)
