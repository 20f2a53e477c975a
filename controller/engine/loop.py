"""The loop: observe, decide, record the intent, perform, record the outcome."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

from controller.clock import Clock
from controller.engine.decision_log import log_decision, log_incident
from controller.engine.outcomes import LeaseOutcome, UnexpectedFailure
from controller.engine.repetition import Repetitions
from controller.incident import Incident, attempt
from controller.planner.actions import Action, Done, NeedsOperator, Wait
from controller.planner.decide import decide
from controller.planner.observation import Observation, Repeated
from controller.planner.policy import Policy
from controller.planner.unexpected_error import LOOK, blindness, bounded, more, name_of


class World(Protocol):
    """Observer and executor; the only part of the loop that has effects."""

    def observe(self) -> Observation: ...

    def perform(self, action: Action) -> LeaseOutcome: ...

    def wait(self, action: Wait) -> None:
        """Pause, or have the next observation pause: it ends early when the job changes."""
        ...


class Recorder(Protocol):
    """The journal and the ledger."""

    def intent(self, action: Action) -> None: ...

    def outcome(self, action: Action, outcome: LeaseOutcome) -> None: ...

    def incident(self, action: Action | None, incident: Mapping[str, Any]) -> None: ...


Watch = Callable[[Observation, Action], None]
Plan = Callable[[Observation, Policy], Action]


@dataclass
class _Incidents:
    """Unexpected exceptions of this drive, counted in a row by what raised them."""

    recorder: Recorder
    policy: Policy
    clock: Clock
    repeated: dict[str, Repeated] = field(default_factory=dict)

    def add(self, action: Action | None, incident: Incident, *, recorded: bool = False) -> int:
        """Count an incident and return how many there were in a row.

        Records it unless it was `recorded` as an outcome; a failing journal is tolerated.
        """
        name = _name(action)
        log_incident(incident.error, name)
        retry_at = self.clock.now() + self.policy.incident_pause
        self.repeated[name] = more(self.repeated.get(name), incident.text, retry_at)
        if not recorded:
            attempt(partial(self.recorder.incident, action, incident.as_dict()))
        return self.repeated[name].times

    def clear(self, action: Action | None) -> None:
        self.repeated.pop(_name(action), None)


def _name(action: Action | None) -> str:
    return name_of(action) if action is not None else LOOK


def drive(
    world: World,
    recorder: Recorder,
    policy: Policy,
    clock: Clock,
    watch: Watch,
    plan: Plan = decide,
) -> Done | NeedsOperator:
    """Drive one lease as far as it goes; `plan` is pure, `watch` shows each decision.

    Returns Done when nothing is left to do, and NeedsOperator when the user must decide: also when
    an action, an observation or a decision keeps raising an unexpected exception, or one action
    is decided again and again without a pause. Signals, and the errors that say that another
    process owns the state, are raised at once.
    """
    incidents, repetitions = _Incidents(recorder, policy, clock), Repetitions()
    while True:
        action = attempt(partial(_next, world, policy, watch, plan, incidents.repeated))
        if isinstance(action, Incident):
            if (times := incidents.add(None, action)) >= policy.incidents:
                return blindness(action, times)
            clock.wait(policy.incident_pause)
            continue
        incidents.clear(None)
        if isinstance(action, Done | NeedsOperator):
            return action
        if stuck := repetitions.add(action):
            return stuck
        if isinstance(action, Wait):
            world.wait(action)
        else:
            _carry_out(world, recorder, action, incidents)


def _next(
    world: World, policy: Policy, watch: Watch, plan: Plan, repeated: Mapping[str, Repeated]
) -> Action:
    observation = replace(world.observe(), incidents=dict(repeated))
    action = bounded(observation, policy, plan(observation, policy))
    attempt(partial(log_decision, observation, action))
    attempt(partial(watch, observation, action))  # a failing display delays nothing
    return action


def _carry_out(world: World, recorder: Recorder, action: Action, incidents: _Incidents) -> None:
    """Record the intent, perform the action, record the outcome.

    Without an intent on disk nothing is performed. An outcome that could not be written is unknown,
    as it is after a crash.
    """
    intended = attempt(partial(recorder.intent, action))
    if isinstance(intended, Incident):
        incidents.add(action, intended)
        return
    performed = attempt(partial(world.perform, action))
    raised = performed if isinstance(performed, Incident) else None
    outcome = (
        UnexpectedFailure.of(action, performed) if isinstance(performed, Incident) else performed
    )
    written = attempt(partial(recorder.outcome, action, outcome))
    if isinstance(written, Incident):
        incidents.add(action, written)
    elif raised is not None:
        incidents.add(action, raised, recorded=True)
    else:
        incidents.clear(action)
