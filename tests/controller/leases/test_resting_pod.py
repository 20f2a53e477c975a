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
