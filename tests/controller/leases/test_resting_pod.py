"""The line about a pod that waits for the user. Pure."""

from __future__ import annotations

import pytest

from controller.leases.resting_pod import resting_line
from controller.planner.lease_state import LeaseState, RunFacts, WarmPod

RUN = RunFacts("sft-0001", "sft", started=True, pulled=True, outcome="failed")
STATE = LeaseState("l0001", (RUN,), pod="p1", warm=WarmPod("p1", "sft-0001", 1600.0))


@pytest.mark.parametrize(("now", "used"), [(1000.0, True), (1590.0, False), (1700.0, False)])
def test_a_warm_pod_is_offered_only_while_a_run_would_use_it(now: float, used: bool) -> None:
    """Shortly before its time is over, and afterwards, another run rents another pod."""
    line = resting_line(STATE, 0.2623, now)
    assert ("podctl run sft starts on it at once" in line) is used
    assert "podctl stop sft-0001 ends it now" in line
    assert "$0.2623/h" in line


@pytest.mark.parametrize(("outcome", "fetched"), [("unpulled", True), ("superseded", False)])
def test_a_command_that_would_refuse_is_not_named(outcome: str, fetched: bool) -> None:
    """The outputs of a run whose stage another run has locked are not fetched by sync."""
    run = RunFacts("sft-0001", "sft", started=True, outcome=outcome)
    line = resting_line(LeaseState("l0001", (run,), pod="p1", parked=True), 0.0055, 0.0)
    assert ("podctl sync sft-0001 fetches them" in line) is fetched
    assert "--terminate --abandon REASON" in line
