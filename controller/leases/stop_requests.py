"""Stop requests to the process that holds the project lock: each is accepted exactly once."""

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
from controller.planner.actions import Action, Wait
from controller.planner.journal_fold import fold
from controller.planner.lease_state import LeaseState, Step
from controller.planner.observation import Observation
from state.journal import Journal
from state.stop_requests import StopRequest

POLL = 1.0  # seconds between two looks at what became of a request
AFTERWARDS = 5.0  # seconds for the other process to exit after it carried out the request
BRIEF = 0.2  # seconds: also where a request cannot be dropped, so that the loop never spins
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
    """Record the requests to this lock owner; drop those to an earlier owner."""
    for request in requests.of(lease):
        if request.epoch == journal.epoch and not taken_up(journal, request):
            journal.note(lease, Step.STOP, record(request))
            tell(f"{request.who} requested the end of lease {lease}")
        requests.drop(request)


@dataclass
class StopRequestWorld:
    """The loop's world, which first checks for stop requests of other processes."""

    world: World
    requests: Requests
    journal: Journal
    lease: str
    tell: Callable[[str], None]

    def observe(self) -> Observation:
        incident = attempt(partial(take_up, self.requests, self.journal, self.lease, self.tell))
        if isinstance(incident, Incident):  # it stays where it is, for the next look
            self.tell(f"a stop request cannot be recorded yet: {incident.text}")
        return self.world.observe()

    def perform(self, action: Action) -> LeaseOutcome:
        return self.world.perform(action)

    def wait(self, action: Wait) -> None:
        """Wait only briefly if a request came in the meantime: the next observation takes it up."""
        pending = attempt(partial(self.requests.of, self.lease))
        if pending and not isinstance(pending, Incident):
            action = dataclasses.replace(action, seconds=min(BRIEF, action.seconds))
        self.world.wait(action)


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
                for request in left:
                    self._ask(request)
                self.show(self._how_far(left), until - self.clock.now())
                self.clock.wait(self.poll)
            return None
        finally:
            for request in asked:
                self.requests.drop(request)

    def taken_up(self, request: StopRequest) -> bool:
        return taken_up(self.journal, request)

    def unended(self, asked: Iterable[StopRequest]) -> list[StopRequest]:
        return [request for request in asked if not ended(self.journal, request)]

    def _ask(self, request: StopRequest) -> None:
        """Address the request to the present lock owner: an earlier one may have exited."""
        now = dataclasses.replace(request, epoch=self.epoch())
        if now not in self.requests.of(request.lease) and not taken_up(self.journal, request):
            self.requests.put(now)

    def _how_far(self, left: Iterable[StopRequest]) -> str:
        heard = all(taken_up(self.journal, request) for request in left)
        return (
            "it accepted the request and is ending the lease"
            if heard
            else "it has not answered yet"
        )

    def _afterwards(self) -> T | None:
        """Wait for the other process to exit, so that the next command finds the lock free."""
        until = self.clock.now() + AFTERWARDS
        while (owned := self.enter()) is None and self.clock.now() < until:
            self.clock.wait(self.poll)
        return owned


def ended(journal: Journal, request: StopRequest) -> bool:
    """Whether its lease is as it asks: closed, or its pod parked until the user says otherwise."""
    lease = journal.lease(request.lease)
    if lease is None or not lease.open:
        return True
    lease_state = _lease_state(journal, request.lease)
    return lease_state.rests() and (request.disposal == "park" or taken_up(journal, request))


def _lease_state(journal: Journal, lease: str) -> LeaseState:
    runs = [(run.id, run.stage) for run in journal.runs(lease=lease)]
    return fold(lease, runs, journal.ops(lease))
