"""A parked pod that is started to work on it by hand."""

from __future__ import annotations

import dataclasses
from typing import Any

from controller.planner.actions import (
    ConfirmParked,
    Done,
    NeedsOperator,
    RecordRestart,
    StartPod,
    StopPod,
    Wait,
)
from controller.planner.decide import decide
from controller.planner.journal_fold import resume
from controller.planner.lease_state import LeaseState, RunFacts, Step
from controller.planner.observation import Listing
from controller.planner.policy import Policy
from controller.planner.visit import UP, plan_visit
from controller.providers.base import PodStatus
from state.journal_rows import Op
from tests.controller.planner.test_decide import pod
from tests.support.observations import observe

POLICY = Policy(keep_warm=600.0)


def note(step: Step, data: dict[str, Any]) -> Op:
    return Op(1, 1.0, "l0001", None, step, "note", None, data, 1)


def visiting(**changes: Any) -> LeaseState:
    """A parked lease, stopped by its user, whose pod is wanted for work by hand."""
    run = RunFacts("hello-0001", "hello", started=True, pulled=True, outcome="failed")
    state = LeaseState("l0001", (run,), generation=1, nonces=("n1",), pod="p1", had_pod=True)
    state = dataclasses.replace(state, parked=True, stop="park", pod_starts=3)
    return dataclasses.replace(resume(state, [note(Step.VISIT, {"most_usd": 1.0})]), **changes)


def planned(state: LeaseState, status: PodStatus, **facts: Any) -> Any:
    listing = Listing(50.0, (pod(status),))
    return plan_visit(observe(state, 50.0, listing=listing, wall=1000.0, **facts), POLICY)


def test_a_visit_starts_the_pod_once_and_ends_when_it_is_up() -> None:
    """One start; a refused one is tried a few times, then it is the user's turn; a pod that was
    started without an answer, or in the console, is recorded first."""
    running = visiting(parked=False)

    assert planned(visiting(), PodStatus.EXITED) == StartPod("p1", 1000.0, False)
    assert isinstance(planned(visiting(), PodStatus.RUNNING), RecordRestart)
    assert planned(running, PodStatus.RUNNING, booked=frozenset({"p1"})) == Done(UP)
    assert isinstance(planned(running, PodStatus.STARTING, booked=frozenset({"p1"})), Wait)
    assert isinstance(
        planned(visiting(), PodStatus.EXITED, start_failures={"p1": 4}), NeedsOperator
    )
    assert isinstance(planned(visiting(pod_starts=1), PodStatus.EXITED), NeedsOperator)
    assert isinstance(planned(running, PodStatus.EXITED), ConfirmParked)


def test_a_visited_pod_waits_for_its_user_and_is_parked_after_the_visit() -> None:
    """Another podctl leaves it alone, however the lease was to end; the note at the visit's end
    parks it, and a new run takes it over."""
    running = visiting(parked=False)
    over = resume(running, [note(Step.STOP, {"disposal": "park", "abandon": None})])
    renewed = resume(running, [note(Step.RENEW, {"runs": [["hello-0002", "hello"]]})])
    listing = Listing(50.0, (pod(),))

    def chosen(state: LeaseState) -> Any:
        booked = frozenset({"p1"})
        return decide(observe(state, 50.0, listing=listing, booked=booked, wall=1.0), POLICY)

    assert running.rests()
    assert chosen(running) == Done("kept")
    assert isinstance(chosen(over), StopPod)
    assert not renewed.visiting
    assert not visiting(visiting=False, start_unclear=1.0).rests()
