"""A stage that another run has locked meanwhile: no job of it works on, and nothing locks again."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from controller.leases.fetch import Unfetched
from controller.planner import actions
from controller.planner.decide import decide
from controller.planner.lease_state import LeaseState, RunFacts
from controller.planner.observation import Observation
from controller.providers.base import PodStatus
from state.journal_rows import Lease
from tests.controller.planner.test_decide import (
    OFFER,
    POLICY,
    agent,
    ended,
    lease_state,
    pod,
    running,
    seen,
)

RUN, OTHER = "stage1c-0001", "stage1c-0002"
LOCKED = "stage1c is locked by stage1c-0002"


def look(found: LeaseState, *pods: Any, **changes: Any) -> Observation:
    """An observation in which `OTHER` has locked the stage."""
    return seen(found, *pods, superseded=found.superseded({"stage1c": OTHER}), **changes)


def parked(run: RunFacts) -> LeaseState:
    return lease_state(run, parked=True, stop="terminate")


def test_a_run_is_superseded_by_another_run_only() -> None:
    """Its own lock, and a stage without one, change nothing for it."""
    found = lease_state(running())

    assert found.superseded({"stage1c": OTHER}) == {RUN: OTHER}
    assert found.superseded({"stage1c": RUN}) == {}
    assert found.superseded({"stage1b": "stage1b-0001"}) == {}


@pytest.mark.parametrize("fetching", [True, False])
def test_a_stopped_pod_is_not_started_for_it(fetching: bool) -> None:
    """At its start the pod would resume the job of a locked stage; the files stay on its disk."""
    found = parked(running(fetching=fetching, stopping="stopped by the user"))
    exited = pod(status=PodStatus.EXITED)
    action = decide(look(found, exited), POLICY)

    assert isinstance(decide(seen(found, exited), POLICY), actions.StartPod)
    assert isinstance(action, actions.Finish)
    assert (action.run, action.outcome) == (RUN, "unpulled")
    assert LOCKED in action.why


def test_nor_for_another_run_on_its_disk() -> None:
    """Its pod resumes the newest unfinished job, whichever run is wanted."""
    wanted = RunFacts("stage1d-0001", "stage1d", started=True, starts=1, fetching=True)
    found = dataclasses.replace(
        parked(running(outcome="overdue")),
        runs=(
            running(outcome="overdue"),
            wanted,
        ),
    )
    action = decide(look(found, pod(status=PodStatus.EXITED)), POLICY)

    assert isinstance(action, actions.Finish)
    assert action.run == "stage1d-0001"


def test_its_running_job_is_told_to_end() -> None:
    """It costs money for files that no lock will have."""
    action = decide(look(lease_state(running()), pod(), contact=agent("running")), POLICY)

    assert isinstance(action, actions.StopJob)
    assert action.reason == LOCKED


@pytest.mark.parametrize("reason", ["stalled", "preflight"])
def test_its_job_is_not_started_again(reason: str) -> None:
    """Neither after a stall nor on another host: what it wrote is pulled."""
    contact = agent("ended", exit=ended(1, reason))
    found = lease_state(running())

    assert not isinstance(decide(seen(found, pod(), contact=contact), POLICY), actions.Pull)
    assert isinstance(decide(look(found, pod(), contact=contact), POLICY), actions.Pull)


def test_nothing_is_rented_for_it() -> None:
    """Neither a first pod nor one that replaces another, whose network volume has its files."""
    for run in (RunFacts(RUN, "stage1c"), running()):
        found = lease_state(run, pod=None, had_pod=False, shared_disk=True)
        action = decide(look(found, offers=(OFFER,)), POLICY)

        assert isinstance(decide(seen(found, offers=(OFFER,)), POLICY), actions.Create)
        assert isinstance(action, actions.Finish)
        assert (action.outcome, action.why) == ("superseded", LOCKED)


@pytest.mark.parametrize("verdict", [None, "PASS"])
def test_its_files_do_not_replace_those_of_the_lock(verdict: str | None) -> None:
    """They stay in the run's folder, neither judged nor locked."""
    done = lease_state(running(pulled=True, rc=0, reason="exited", verdict=verdict))
    action = decide(look(done, pod()), POLICY)

    assert isinstance(decide(seen(done, pod()), POLICY), actions.Judge | actions.Terminate)
    assert isinstance(action, actions.Finish)
    assert (action.outcome, action.why) == ("superseded", LOCKED)


def test_sync_says_why_such_a_pod_is_left_stopped() -> None:
    """With the commands that discard its files, or allow the download after all."""
    left = Unfetched(Lease("l0001", 0.0, {}, None, None), parked(running(outcome="overdue")))
    said = left.locked_meanwhile({"stage1c": OTHER})

    assert LOCKED in said
    assert f"podctl stop {RUN} --terminate --abandon REASON" in said
    assert "podctl unlock stage1c --reason" in said
    assert left.locked_meanwhile({"stage1c": RUN}) == ""
