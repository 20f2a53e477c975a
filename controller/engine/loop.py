"""The one loop: observe, decide, record the intent, perform, record the outcome."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

from controller.clock import Clock
from controller.engine.decision_log import log_decision, log_incident
from controller.incident import Incident, attempt
from controller.planner.actions import Action, Done, NeedsOperator, Wait
from controller.planner.decide import decide
from controller.planner.observation import Observation, Repeated
from controller.planner.policy import Policy
from controller.planner.unexpected_error import LOOK, blindness, bounded, fail_data, more, name_of


@dataclass(frozen=True)
class LeaseOutcome:
    """What came of one action: `phase` is done or fail, `data` goes into the journal."""

    phase: str = "done"
    data: dict[str, Any] = field(default_factory=dict)


class World(Protocol):
    """Eyes and hands; the only part of the loop that touches anything."""

    def look(self) -> Observation: ...

    def perform(self, action: Action) -> LeaseOutcome: ...


class Recorder(Protocol):
    """The journal and the ledger."""

    def intent(self, action: Action) -> None: ...

    def outcome(self, action: Action, outcome: LeaseOutcome) -> None: ...

    def incident(self, action: Action | None, found: Mapping[str, Any]) -> None: ...


Watch = Callable[[Observation, Action], None]
Plan = Callable[[Observation, Policy], Action]


@dataclass
class _Incidents:
    """What raised in this drive, and how often in a row."""

    books: Recorder
    policy: Policy
    clock: Clock
    found: dict[str, Repeated] = field(default_factory=dict)

    def add(self, action: Action | None, raised: Incident, *, noted: bool = False) -> int:
        """Count it, and write it down unless its outcome was; the journal may be what fails."""
        name = name_of(action) if action is not None else LOOK
        log_incident(raised.error, name)
        retry_at = self.clock.now() + self.policy.incident_pause
        self.found[name] = more(self.found.get(name), raised.text, retry_at)
        if not noted:
            attempt(partial(self.books.incident, action, raised.as_dict()))
        return self.found[name].times

    def over(self, action: Action | None) -> None:
        self.found.pop(name_of(action) if action is not None else LOOK, None)


def drive(
    world: World,
    books: Recorder,
    policy: Policy,
    clock: Clock,
    watch: Watch,
    plan: Plan = decide,
) -> Done | NeedsOperator:
    """Carry one lease as far as it goes; `plan` is pure.

    Returns Done when nothing is left to do, Leave when a person must decide. What an action, a
    look or a decision raises is written down and tried again a few times; then it is a Leave too.
    A person at the keyboard and another owner of the state are heard at once.
    """
    raised = _Incidents(books, policy, clock)
    while True:
        action = attempt(partial(_next, world, policy, watch, plan, raised.found))
        if isinstance(action, Incident):
            if (times := raised.add(None, action)) >= policy.incidents:
                return blindness(action, times)
            clock.wait(policy.incident_pause)
            continue
        raised.over(None)
        if isinstance(action, Done | NeedsOperator):
            return action
        if isinstance(action, Wait):
            clock.wait(action.seconds)
        else:
            _carry_out(world, books, action, raised)


def _next(
    world: World, policy: Policy, watch: Watch, plan: Plan, found: Mapping[str, Repeated]
) -> Action:
    observation = replace(world.look(), incidents=dict(found))
    action = bounded(observation, policy, plan(observation, policy))
    attempt(partial(log_decision, observation, action))
    attempt(partial(watch, observation, action))  # what is shown of it holds nothing up
    return action


def _carry_out(world: World, books: Recorder, action: Action, raised: _Incidents) -> None:
    """Intent, action, outcome. Without an intent on the disk nothing is done; an outcome that
    could not be written is one that is not known, as after a crash."""
    meant = attempt(partial(books.intent, action))
    if isinstance(meant, Incident):
        raised.add(action, meant)
        return
    outcome = attempt(partial(world.perform, action))
    wrong = outcome if isinstance(outcome, Incident) else None
    if isinstance(outcome, Incident):
        outcome = LeaseOutcome("fail", fail_data(action, outcome))
    written = attempt(partial(books.outcome, action, outcome))
    if isinstance(written, Incident):
        raised.add(action, written)
    elif wrong is not None:
        raised.add(action, wrong, noted=True)
    else:
        raised.over(action)
