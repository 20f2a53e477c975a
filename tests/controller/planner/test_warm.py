"""A pod that waits for another run: when it does, until when, and how it ends."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from controller.planner.actions import ConfirmGone, Done, KeepWarm, StopPod, Terminate, Wait
from controller.planner.decide import UNLISTED, decide, plan_before_run, plan_passive
from controller.planner.journal_fold import resume
from controller.planner.lease_state import LeaseState, RunFacts, Step, WarmPod
from controller.planner.observation import Listing
from controller.planner.policy import Policy
from state.journal_rows import Op
from tests.support.observations import observe

POLICY = Policy(keep_warm=600.0, on_failure="terminate")
WARM = WarmPod("p1", "hello-0001", 1600.0)


def over(outcome: str = "failed", **changes: Any) -> LeaseState:
    """A lease whose only run has ended, with its files here."""
    run = RunFacts("hello-0001", "hello", started=True, pulled=True, outcome=outcome)
    state = LeaseState("l0001", (run,), generation=1, nonces=("n1",), pod="p1", had_pod=True)
    return dataclasses.replace(state, reached=True, **changes)


def chosen(state: LeaseState, policy: Policy = POLICY, wall: float = 1000.0, **facts: Any) -> Any:
    return decide(observe(state, 50.0, listing=Listing(50.0, ()), wall=wall, **facts), policy)


@pytest.mark.parametrize("outcome", ["failed", "criteria"])
def test_the_pod_of_what_a_user_mends_waits(outcome: str) -> None:
    """A job that failed, or whose files fell short, with every file here."""
    assert chosen(over(outcome)) == KeepWarm("p1", "hello-0001", 600.0, "terminate")


@pytest.mark.parametrize("outcome", ["passed", "time-up", "abandoned"])
def test_no_other_pod_waits(outcome: str) -> None:
    """What passed needs no other run, and what used up its time or money must not use more."""
    assert isinstance(chosen(over(outcome)), Terminate)


def test_what_must_not_wait_does_not() -> None:
    """Without the key, over the cap, after a stop or where the guard could not be told."""
    stopped = over(stop="terminate")

    assert isinstance(chosen(over(), dataclasses.replace(POLICY, keep_warm=0.0)), Terminate)
    assert isinstance(chosen(over(), spent_usd=2.0, cap_usd=1.0), Terminate)
    assert isinstance(chosen(stopped), Terminate)
    assert isinstance(chosen(over(not_warm="hello-0001")), Terminate)
    assert chosen(over(), dataclasses.replace(POLICY, on_failure="keep")) == Done("kept")


def test_files_that_are_only_on_the_pod_park_it() -> None:
    """However long a failed run's pod may wait."""
    run = RunFacts("hello-0001", "hello", started=True, outcome="failed")

    assert isinstance(chosen(over(runs=(run,))), StopPod)


def test_a_warm_pod_ends_when_its_time_is_over() -> None:
    """Terminated, or parked where the user wants that; until then nothing is left to do."""
    warm = over(warm=WARM)
    parks = dataclasses.replace(POLICY, on_failure="park")

    assert warm.rests()
    assert chosen(warm) == Done("warm")
    assert isinstance(chosen(warm, wall=1600.0), Terminate)
    assert isinstance(chosen(warm, parks, wall=1600.0), StopPod)
    assert isinstance(
        plan_passive(observe(warm, 50.0, listing=Listing(50.0, ()), wall=1600.0), POLICY), Terminate
    )


def test_a_warm_pod_that_its_guard_ended_is_booked() -> None:
    """Two listings without it suffice once its guard has certainly ended it; before that the pod
    may only be hidden, and a whole settle window counts."""
    assert isinstance(chosen(over(warm=WARM), missing_since=20.0), Wait)
    assert chosen(over(warm=WARM), missing_since=-1000.0) == ConfirmGone("p1")
    assert isinstance(chosen(over(warm=WARM), wall=1640.0, missing_since=20.0), Wait)
    assert isinstance(chosen(over(warm=WARM), wall=1645.0, missing_since=49.5), Wait)
    assert chosen(over(warm=WARM), wall=1645.0, missing_since=49.0) == ConfirmGone("p1")


def test_a_run_does_not_wait_for_a_waiting_pod_that_is_not_listed() -> None:
    """The second listing without a warm, kept or parked pod lets the run rent another one; the
    lease stays open, since the pod may be hidden, and `sync` waits until its end is certain."""
    keeps = dataclasses.replace(POLICY, on_failure="keep")
    parked, parks = over(parked=True, keeps_disk=True), Policy(on_failure="park")
    for state, policy in ((over(warm=WARM), POLICY), (over(), keeps), (parked, parks)):
        first = observe(state, 50.0, listing=Listing(50.0, ()), missing_since=50.0)
        second = observe(state, 51.0, listing=Listing(51.0, ()), missing_since=50.0)

        again = plan_before_run(first, policy)
        assert isinstance(again, Wait)
        assert again.seconds <= 1.0
        assert plan_before_run(second, policy) == Done(UNLISTED)
        assert isinstance(plan_passive(second, policy), Wait)


def test_a_pod_that_was_to_be_parked_and_is_unlisted_is_not_expected_to_be_gone() -> None:
    """Its guard stops it, which would show it as stopped: the whole settle window counts."""
    parks = Policy(keep_warm=600.0, on_failure="park")
    state = over(warm=WARM, keeps_disk=True)
    assert isinstance(chosen(state, parks, wall=1600.0, missing_since=20.0), Wait)


def test_another_run_on_a_warm_pod_lets_it_wait_anew() -> None:
    """The renewal is one record: the pod has one owner before and after it."""
    terms = {"runs": [["hello-0002", "hello"]]}
    renewed = resume(over(warm=WARM), [_note(Step.RENEW, terms)])
    failed = resume(
        renewed,
        [
            _note(Step.START_JOB, {}, "hello-0002", "intent"),
            _note(Step.PULL, {"rc": 1, "reason": "exited"}, "hello-0002", "done"),
            _note(Step.FINISH, {"outcome": "failed"}, "hello-0002"),
        ],
    )
    again = {"pod": "p1", "after": "hello-0002", "until": 9000.0}
    waits = resume(failed, [_note(Step.WARM, again, phase="done")])

    assert renewed.pod == "p1"
    assert renewed.warm_until is None
    assert not renewed.rests()
    assert chosen(failed) == KeepWarm("p1", "hello-0002", 600.0, "terminate")
    assert waits.warm_until == 9000.0


def _note(step: Step, data: dict[str, Any], run: str | None = None, phase: str = "note") -> Op:
    return Op(
        seq=1, at=0.0, lease="l0001", run=run, step=step, phase=phase, data=data, of=None, epoch=1
    )
