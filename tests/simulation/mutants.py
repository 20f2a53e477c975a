"""Seeded bugs, each of which the simulation must find.

Each removes one safeguard from the real code, or from the simulated world.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
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
from controller.planner import job as job
from controller.planner import provisioning as provisioning
from controller.planner import teardown as teardown
from controller.planner.observation import Observation
from controller.planner.policy import Policy
from controller.planner.replacement import replace
from controller.providers.base import PodStatus
from tests.simulation.history import World
from tests.simulation.host import POLICY, SimulatedController
from tests.simulation.machine import Machine
from tests.support.observations import changed

Mutant = Callable[[], Any]


def _world(**changes: Any) -> Mutant:
    """The same host or cloud without one of its safeguards."""
    original = World.__init__

    def begin(self: World, seed: int, bias: frozenset[str] = frozenset()) -> None:
        original(self, seed, bias)
        for name, value in changes.items():
            owner = self.host if hasattr(self.host, name) else self.cloud
            setattr(owner, name, value)

    return lambda: patch.object(World, "__init__", begin)


def _policy(**changes: Any) -> Policy:
    return dataclasses.replace(POLICY, **changes)


@contextmanager
def no_probe() -> Iterator[None]:
    """An unclear create is simply repeated."""

    def again(seen: Observation, _: Policy) -> actions.Action:
        return provisioning._next_offer(seen, _, seen.lease.current)

    with patch.object(provisioning, "_probe", again):
        yield


@contextmanager
def no_intent() -> Iterator[None]:
    """Intent and outcome of a create are written together, after it."""
    intent, outcome = LeaseRecorder.intent, LeaseRecorder.outcome

    def later(self: LeaseRecorder, action: actions.Action) -> None:
        if not isinstance(action, actions.Create):
            intent(self, action)

    def both(self: LeaseRecorder, action: actions.Action, found: LeaseOutcome) -> None:
        if isinstance(action, actions.Create):
            intent(self, action)
        outcome(self, action, found)

    with patch.object(LeaseRecorder, "intent", later), patch.object(LeaseRecorder, "outcome", both):
        yield


@contextmanager
def settle_from_intent() -> Iterator[None]:
    """The settle window counts from when the create was meant, not from entering the probe."""
    observe = Observer.observe

    def back(self: Observer) -> Observation:
        seen = observe(self)
        ops = self.context.journal.ops(self.context.lease)
        meant = [op.at for op in ops if (op.step, op.phase) == ("create", "intent")]
        if seen.provider.probing_since is None or not meant:
            return seen
        since = seen.now - (self.context.clock.wall() - meant[-1])
        return changed(seen, probing_since=since)

    with patch.object(Observer, "observe", back):
        yield


@contextmanager
def one_window_for_all() -> Iterator[None]:
    """A second unclear create is looked for in the window that the first one began."""
    create = PodActions.create

    def keep(self: PodActions, action: actions.Create) -> LeaseOutcome:
        since = self.context.process.conditions.since.get("probing")
        found = create(self, action)
        if since is not None:
            self.context.process.conditions.since["probing"] = since
        return found

    with patch.dict(POD_ACTIONS, {actions.Create: keep}):
        yield


@contextmanager
def early_stop() -> Iterator[None]:
    """A pod is given up as soon as its job ended."""

    def give_up(seen: Observation, _: Policy, __: Any) -> actions.Action:
        assert seen.lease.pod is not None
        return actions.Terminate(seen.lease.pod, "the job ended")

    with patch.object(job, "_ended", give_up):
        yield


@contextmanager
def panic() -> Iterator[None]:
    """Silence of SSH is taken for the pod's death."""

    def replace(seen: Observation, _: Policy, __: Any) -> actions.Action:
        assert seen.lease.pod is not None
        return actions.Terminate(seen.lease.pod, "it does not answer")

    with patch.object(planner, "_silent", replace):
        yield


@contextmanager
def pull_trusted() -> Iterator[None]:
    """A pull that failed counts as done."""
    pull = ActionExecutor.pull

    def done(self: ActionExecutor, action: actions.Pull) -> LeaseOutcome:
        found = pull(self, action)
        return found if isinstance(found, PulledRun) else PulledRun(0, "exited", "")

    with patch.dict(RUN_ACTIONS, {actions.Pull: done}):
        yield


@contextmanager
def delete_trusted() -> Iterator[None]:
    """A pod counts as gone once it was told to go."""

    def gone(_: Observation, __: Policy, debt: Any) -> actions.Action:
        return actions.ConfirmGone(debt.pod) if debt.clean else actions.Terminate(debt.pod, "")

    with patch.object(planner, "_confirm_termination", gone):
        yield


@contextmanager
def absence_trusted() -> Iterator[None]:
    """One listing without the pod proves that it is gone; nobody asks for it by its id."""

    def shown(_: Observer, __: Any, pods: Any) -> Any:
        return pods

    def missing(seen: Observation, _: Policy, run: Any) -> actions.Action:
        return replace(seen, _, "gone") if not run.started else actions.RestartRun(run.run, "")

    with patch.object(Observer, "_with_hidden", shown), patch.object(planner, "_missing", missing):
        yield


@contextmanager
def surplus_unbooked() -> Iterator[None]:
    """A stray pod is ended before it is in the books."""

    def end(_: Observation, pod: str, why: str) -> actions.Action:
        return actions.Terminate(pod, why)

    with (
        patch.object(teardown, "terminate_orphan", end),
        patch.object(planner, "terminate_orphan", end),
    ):
        yield


@contextmanager
def no_sweep() -> Iterator[None]:
    """A lease is closed without a last clean listing."""

    def close(seen: Observation, _: Policy) -> actions.Action:
        return actions.Close(teardown._outcome(seen))

    with patch.object(teardown, "_sweep", close):
        yield


@contextmanager
def no_reckoning() -> Iterator[None]:
    """What the books say of a pod's running is never compared with what the provider shows."""
    with (
        patch.object(planner, "reckon", lambda *_: None),
        patch.object(teardown, "reckon", lambda *_: None),
    ):
        yield


@contextmanager
def bill_ignored() -> Iterator[None]:
    """What ended without our order counts as ended when it was noticed."""
    with patch.object(BilledTime, "_billed_until", lambda *_: None):
        yield


@contextmanager
def vanished_is_started_again() -> Iterator[None]:
    """A run with a living job counts as never started as soon as its pod stops."""

    def forget(_: Observation, __: Policy, ___: Any, pod: Any) -> actions.Action:
        assert pod.status is not PodStatus.RUNNING
        return actions.Terminate(pod.id, "it stopped")

    with patch.object(planner, "_exited", forget):
        yield


@contextmanager
def console_unread() -> Iterator[None]:
    """A parked pod that somebody started elsewhere is not looked for on the bill."""
    nowhere = patch.object(Observation, "unfollowed_start", None)
    with nowhere, patch.object(BilledTime, "unattributed", lambda *_, **__: None):
        yield


@contextmanager
def lives_are_one() -> Iterator[None]:
    """That a pod was stopped and started again between two looks goes unseen."""
    with patch.object(BilledTime, "interrupted", lambda *_: False):
        yield


@contextmanager
def late_start_is_ours_alone() -> Iterator[None]:
    """What somebody else did between the look and our start is not asked for."""
    with patch.object(PodActions, "_listing_age", lambda _: 0.0):
        yield


@contextmanager
def half_booked() -> Iterator[None]:
    """A pod that came into the ledger and not into the journal is left there, for ever open."""
    with patch.object(Observer, "_unclosed", lambda *_: frozenset()):
        yield


@contextmanager
def exceptions_escape() -> Iterator[None]:
    """What an action raises ends the command, and every later one at the same place."""
    with patch.object(loop, "attempt", lambda act, **_: act()):
        yield


@contextmanager
def plan_alone_ends() -> Iterator[None]:
    """What the user gives up is ended by the plan or not at all."""
    with patch.object(SimulatedController, "force_end", lambda *_: None):
        yield


@contextmanager
def pod_is_believed() -> Iterator[None]:
    """As long as a pod says that its job runs, it runs on."""
    with (
        patch.object(planner, "outlasted", lambda *_: None),
        patch.object(planner, "given_up", lambda *_: False),
    ):
        yield


@contextmanager
def any_owner_hears() -> Iterator[None]:
    """A request that a crash left behind stops whoever drives the lease next."""

    def take(requests: Any, journal: Any, lease: str, _: Any) -> None:
        for one in requests.of(lease):
            if not stop_requests.taken_up(journal, one):
                journal.note(lease, "stop", stop_requests.record(one))
            requests.drop(one)

    with patch.object(stop_requests, "take_up", take):
        yield


@contextmanager
def request_heard_twice() -> Iterator[None]:
    """That the journal has a request already is not looked at."""
    with patch.object(stop_requests, "taken_up", lambda *_: False):
        yield


@contextmanager
def warm_for_any_run() -> Iterator[None]:
    """The guard's note that ends a warm pod stays, and is of no attempt."""
    noted = patch.object(Machine, "is_warm", lambda machine: machine.warm is not None)
    with noted, patch.object(Machine, "call_off", lambda _: None):
        yield


MUTANTS: dict[str, Mutant] = {
    "no_probe": no_probe,
    "no_intent": no_intent,
    "settle_zero": _world(policy=_policy(settle=0.0)),
    "settle_from_intent": settle_from_intent,
    "one_window_for_all": one_window_for_all,
    "no_controller_lock": _world(exclusive=False),
    "no_guard": _world(guarded=False),
    "guard_tries_once": _world(stubborn=False),
    "early_stop": early_stop,
    "panic": panic,
    "no_verification": _world(verifies=False),
    "pull_trusted": pull_trusted,
    "locked_stage_again": _world(respects_locks=False),
    "delete_trusted": delete_trusted,
    "absence_trusted": absence_trusted,
    "surplus_unbooked": surplus_unbooked,
    "no_sweep": no_sweep,
    "no_reckoning": no_reckoning,
    "bill_ignored": bill_ignored,
    "vanished_is_started_again": vanished_is_started_again,
    "console_unread": console_unread,
    "lives_are_one": lives_are_one,
    "half_booked": half_booked,
    "late_start_is_ours_alone": late_start_is_ours_alone,
    "exceptions_escape": exceptions_escape,
    "plan_alone_ends": plan_alone_ends,
    "pod_is_believed": pod_is_believed,
    "any_owner_hears": any_owner_hears,
    "request_heard_twice": request_heard_twice,
    "warm_for_any_run": warm_for_any_run,
}

# The bad luck in which the rarer ones show; the others show in any.
BIASES: dict[str, frozenset[str]] = {
    "no_intent": frozenset({"create", "kill"}),
    "settle_zero": frozenset({"create", "late"}),
    "settle_from_intent": frozenset({"create", "late", "lid"}),
    "one_window_for_all": frozenset({"create", "late"}),
    "no_controller_lock": frozenset({"two"}),
    "pull_trusted": frozenset({"pull"}),
    "delete_trusted": frozenset({"delete"}),
    "absence_trusted": frozenset({"hidden"}),
    "surplus_unbooked": frozenset({"create", "late", "kill", "stop"}),
    "no_sweep": frozenset({"create", "late", "kill", "stop"}),
    "console_unread": frozenset({"console", "two"}),
    "lives_are_one": frozenset({"console", "odd"}),
    "half_booked": frozenset({"console", "kill", "create"}),
    "late_start_is_ours_alone": frozenset({"console", "lid"}),
    "exceptions_escape": frozenset({"surprise"}),
    "plan_alone_ends": frozenset({"surprise"}),
    "pod_is_believed": frozenset({"liar"}),
    "any_owner_hears": frozenset({"handover", "kill"}),
    "request_heard_twice": frozenset({"handover", "kill"}),
    "warm_for_any_run": frozenset({"warm"}),
}
# The first seed to try, of what shows in one of some thousand histories.
FIRST: dict[str, int] = {"late_start_is_ours_alone": 1400, "delete_trusted": 73}
