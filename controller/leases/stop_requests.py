"""A stop that one process asks of the one that drives: taken up at its next look, exactly once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from controller.clock import Clock
from controller.engine.loop import World
from controller.engine.outcomes import LeaseOutcome
from controller.incident import Incident, attempt
from controller.planner.actions import Action
from controller.planner.journal_fold import fold
from controller.planner.lease_state import LeaseState, Step
from controller.planner.observation import Observation
from state.journal import Journal
from state.stop_requests import StopRequest

POLL = 1.0  # seconds between two looks at what became of a request
AFTERWARDS = 5.0  # seconds for the other process to go, once it has carried out what was asked
T = TypeVar("T")


class Requests(Protocol):
    """Where requests are kept between two processes."""

    def put(self, request: StopRequest) -> None: ...

    def of(self, lease: str) -> tuple[StopRequest, ...]: ...

    def drop(self, request: StopRequest) -> None: ...


def record(request: StopRequest) -> dict[str, Any]:
    """The user's wish as the journal keeps it."""
    return {
        "disposal": request.disposal,
        "abandon": request.abandon,
        "request": request.id,
        "by": request.who,
    }


def taken_up(journal: Journal, request: StopRequest) -> bool:
    """Whether the journal has it: then it is not to be carried out again."""
    return any(
        op.step == Step.STOP and op.data.get("request") == request.id
        for op in journal.ops(request.lease)
    )


def take_up(requests: Requests, journal: Journal, lease: str, tell: Callable[[str], None]) -> None:
    """Write down what is asked of this owner, as if its own user had; drop what is of another's."""
    for one in requests.of(lease):
        if one.epoch == journal.epoch and not taken_up(journal, one):
            journal.note(lease, Step.STOP, record(one))
            tell(f"lease {lease} is to end, as {one.who} asks")
        requests.drop(one)


@dataclass
class Attentive:
    """The loop's world, which looks first whether another process asks for the end of the lease."""

    world: World
    requests: Requests
    journal: Journal
    lease: str
    tell: Callable[[str], None]

    def observe(self) -> Observation:
        heard = attempt(partial(take_up, self.requests, self.journal, self.lease, self.tell))
        if isinstance(heard, Incident):  # it stays where it is, for the next look
            self.tell(f"a request to stop cannot be taken up yet: {heard.text}")
        return self.world.observe()

    def perform(self, action: Action) -> LeaseOutcome:
        return self.world.perform(action)


@dataclass
class Handover(Generic[T]):
    """Asks the process that drives, and waits until it is done or can be done here.

    `journal` reads only; `enter` returns what owns the state once nobody else does.
    """

    requests: Requests
    journal: Journal
    epoch: Callable[[], int]
    clock: Clock
    enter: Callable[[], T | None]
    show: Callable[[str, float], None]  # how far it is, and the seconds that are left
    patience: float  # seconds
    poll: float = POLL

    def wait(self, asked: Sequence[StopRequest]) -> T | None:
        """What `enter` gave; None when the other process did all of it, or time is up.

        Whatever was not taken up by then is withdrawn: nobody stops for it any more.
        """
        until = self.clock.now() + self.patience
        try:
            while self.clock.now() < until:
                if (owned := self.enter()) is not None:
                    return owned
                left = self.unended(asked)
                if not left:
                    return self._afterwards()
                for one in left:
                    self._ask(one)
                self.show(self._how_far(left), until - self.clock.now())
                self.clock.wait(self.poll)
            return None
        finally:
            for one in asked:
                self.requests.drop(one)

    def taken_up(self, request: StopRequest) -> bool:
        return taken_up(self.journal, request)

    def unended(self, asked: Iterable[StopRequest]) -> list[StopRequest]:
        return [one for one in asked if not ended(self.journal, one)]

    def _ask(self, request: StopRequest) -> None:
        """Of whoever drives now: who did when it was asked first may be gone."""
        now = dataclasses.replace(request, epoch=self.epoch())
        if now not in self.requests.of(request.lease) and not taken_up(self.journal, request):
            self.requests.put(now)

    def _how_far(self, left: Iterable[StopRequest]) -> str:
        heard = all(taken_up(self.journal, one) for one in left)
        return "it has taken that up, and ends what runs" if heard else "it has not looked yet"

    def _afterwards(self) -> T | None:
        """It is done; who types `podctl run` now should not meet a process that is about to go."""
        until = self.clock.now() + AFTERWARDS
        while (owned := self.enter()) is None and self.clock.now() < until:
            self.clock.wait(self.poll)
        return owned


def ended(journal: Journal, request: StopRequest) -> bool:
    """Whether its lease is as it asks: closed, or its pod parked until the user says otherwise."""
    lease = journal.lease(request.lease)
    if lease is None or not lease.open:
        return True
    lease_state = _rental(journal, request.lease)
    return lease_state.rests() and (request.disposal == "park" or taken_up(journal, request))


def _rental(journal: Journal, lease: str) -> LeaseState:
    runs = [(run.id, run.stage) for run in journal.runs(lease=lease)]
    return fold(lease, runs, journal.ops(lease))
