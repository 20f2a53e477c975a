"""Seeded bugs of what carries decisions out: observer, executor, recorder, stop requests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from controller.engine import loop
from controller.engine.billed_time import BilledTime
from controller.engine.executor import RUN_ACTIONS, ActionExecutor
from controller.engine.observer import Observer
from controller.engine.outcomes import LeaseOutcome, PulledRun
from controller.engine.pod_actions import POD_ACTIONS, PodActions
from controller.engine.recorder import LeaseRecorder
from controller.leases import stop_requests
from controller.planner import actions
from controller.planner import decide as planner
from controller.planner.observation import Observation
from controller.planner.policy import Policy
from controller.planner.replacement import replace
from tests.simulation.host import SimulatedController
from tests.simulation.machine import Machine
from tests.support.observations import changed


@contextmanager
def no_intent() -> Iterator[None]:
    """Intent and outcome of a create are written together, after it."""
    intent, outcome = LeaseRecorder.intent, LeaseRecorder.outcome

    def later(self: LeaseRecorder, action: actions.Action) -> None:
        if not isinstance(action, actions.Create):
            intent(self, action)

    def both(self: LeaseRecorder, action: actions.Action, result: LeaseOutcome) -> None:
        if isinstance(action, actions.Create):
            intent(self, action)
        outcome(self, action, result)

    with patch.object(LeaseRecorder, "intent", later), patch.object(LeaseRecorder, "outcome", both):
        yield


@contextmanager
def settle_from_intent() -> Iterator[None]:
    """The settle window counts from when the create was meant, not from entering the probe."""
    observe = Observer.observe

    def back(self: Observer) -> Observation:
        observation = observe(self)
        ops = self.context.journal.ops(self.context.lease)
        intents = [op.at for op in ops if (op.step, op.phase) == ("create", "intent")]
        if observation.provider.probing_since is None or not intents:
            return observation
        since = observation.now - (self.context.clock.wall() - intents[-1])
        return changed(observation, probing_since=since)

    with patch.object(Observer, "observe", back):
        yield


@contextmanager
def one_window_for_all() -> Iterator[None]:
    """A second unclear create is looked for in the window that the first one began."""
    create = PodActions.create

    def keep(self: PodActions, action: actions.Create) -> LeaseOutcome:
        since = self.context.process.conditions.since.get("probing")
        result = create(self, action)
        if since is not None:
            self.context.process.conditions.since["probing"] = since
        return result

    with patch.dict(POD_ACTIONS, {actions.Create: keep}):
        yield


@contextmanager
def pull_trusted() -> Iterator[None]:
    """A pull that failed counts as done."""
    pull = ActionExecutor.pull

    def done(self: ActionExecutor, action: actions.Pull) -> LeaseOutcome:
        result = pull(self, action)
        return result if isinstance(result, PulledRun) else PulledRun(0, "exited", "")

    with patch.dict(RUN_ACTIONS, {actions.Pull: done}):
        yield


@contextmanager
def absence_trusted() -> Iterator[None]:
    """One listing without the pod proves that it is gone; nobody asks for it by its id."""

    def shown(_: Observer, __: Any, pods: Any) -> Any:
        return pods

    def missing(observation: Observation, _: Policy, run: Any) -> actions.Action:
        return (
            replace(observation, _, "gone") if not run.started else actions.RestartRun(run.run, "")
        )

    with patch.object(Observer, "_with_hidden", shown), patch.object(planner, "_missing", missing):
        yield


@contextmanager
def bill_ignored() -> Iterator[None]:
    """What ended without our order counts as ended when it was noticed."""
    with patch.object(BilledTime, "_billed_until", lambda *_: None):
        yield


@contextmanager
def console_unread() -> Iterator[None]:
    """A parked pod that somebody started elsewhere is not looked for on the bill."""
    nowhere = patch.object(Observation, "unfollowed_start", None)
    with nowhere, patch.object(BilledTime, "unattributed", lambda *_, **__: None):
        yield


@contextmanager
def lives_are_one() -> Iterator[None]:
    """A stop and start of a pod between two observations is not noticed."""
    with patch.object(BilledTime, "interrupted", lambda *_: False):
        yield


@contextmanager
def late_start_is_ours_alone() -> Iterator[None]:
    """A change by somebody else between the observation and our start is not looked for."""
    with patch.object(PodActions, "_listing_age", lambda _: 0.0):
        yield


@contextmanager
def half_booked() -> Iterator[None]:
    """A pod that is in the ledger but not in the journal is never closed."""
    with patch.object(Observer, "_unclosed", lambda *_: frozenset()):
        yield


@contextmanager
def exceptions_escape() -> Iterator[None]:
    """What an action raises ends the command, and every later one at the same place."""
    with patch.object(loop, "attempt", lambda act, **_: act()):
        yield


@contextmanager
def plan_alone_ends() -> Iterator[None]:
    """An abandoned lease is ended by the planner or not at all."""
    with patch.object(SimulatedController, "force_end", lambda *_: None):
        yield


@contextmanager
def any_owner_hears() -> Iterator[None]:
    """A request left behind by a crash stops the lease's next driver."""

    def take(requests: Any, journal: Any, lease: str, _: Any) -> None:
        for request in requests.of(lease):
            if not stop_requests.taken_up(journal, request):
                journal.note(lease, "stop", stop_requests.record(request))
            requests.drop(request)

    with patch.object(stop_requests, "take_up", take):
        yield


@contextmanager
def request_heard_twice() -> Iterator[None]:
    """A request that is in the journal already is recorded again."""
    with patch.object(stop_requests, "taken_up", lambda *_: False):
        yield


@contextmanager
def warm_for_any_run() -> Iterator[None]:
    """The guard's note that ends a warm pod stays, and is of no attempt."""
    noted = patch.object(Machine, "is_warm", lambda machine: machine.warm is not None)
    with noted, patch.object(Machine, "call_off", lambda _: None):
        yield
