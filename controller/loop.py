"""The one loop: observe, decide, record the intent, perform, record the outcome."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from controller.actions import Action, Done, Leave, Wait
from controller.clock import Clock
from controller.observed import Observed
from controller.plan import decide
from controller.policy import Policy


@dataclass(frozen=True)
class Outcome:
    """What came of one action: `phase` is done or fail, `data` goes into the journal."""

    phase: str = "done"
    data: dict[str, Any] = field(default_factory=dict)


class World(Protocol):
    """Eyes and hands; the only part of the loop that touches anything."""

    def look(self) -> Observed: ...

    def perform(self, action: Action) -> Outcome: ...


class Books(Protocol):
    """The journal and the ledger."""

    def intent(self, action: Action) -> None: ...

    def outcome(self, action: Action, outcome: Outcome) -> None: ...


Watch = Callable[[Observed, Action], None]
Plan = Callable[[Observed, Policy], Action]


def drive(
    world: World,
    books: Books,
    policy: Policy,
    clock: Clock,
    watch: Watch,
    plan: Plan = decide,
) -> Done | Leave:
    """Carry one lease as far as it goes; `plan` is pure.

    Returns Done when nothing is left to do, Leave when a person must decide. An exception that
    comes out of here was not foreseen by any adapter; the intent is on disk all the same, and
    the next look at the world is the recovery.
    """
    while True:
        seen = world.look()
        action = plan(seen, policy)
        watch(seen, action)
        if isinstance(action, Done | Leave):
            return action
        if isinstance(action, Wait):
            clock.wait(action.seconds)
            continue
        books.intent(action)
        books.outcome(action, world.perform(action))
