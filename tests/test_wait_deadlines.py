"""Every wait that ends by itself says when."""

from __future__ import annotations

import dataclasses

import pytest

from controller import actions
from controller.observed import Contact, Observed
from controller.plan import decide
from controller.policy import Policy
from controller.providers import PodStatus
from controller.rental import Debt
from tests.test_plan import agent, pod, rental, running, seen

POLICY = Policy()
BOOTING = pod(PodStatus.STARTING)


@pytest.mark.parametrize(
    ("look", "until"),
    [
        (seen(rental(reached=False), BOOTING, booting_since=900.0), 900.0 + POLICY.boot),
        (
            seen(rental(running()), pod(), contact=Contact(False), silent_since=990.0),
            990.0 + POLICY.lost,
        ),
        (
            seen(rental(reached=False), pod(), contact=Contact(False), silent_since=990.0),
            990.0 + POLICY.ssh,
        ),
        (
            seen(rental(), pod(), contact=Contact(True), guard_since=990.0),
            990.0 + POLICY.guard,
        ),
        (seen(rental(), missing_since=990.0), 990.0 + POLICY.settle),
        (
            seen(rental(pod=None, had_pod=False, unsettled=True), probing_since=990.0),
            990.0 + POLICY.settle,
        ),
        (
            seen(
                rental(pod=None, debts=(Debt("p0"),)),
                asked={"p0": 900.0},
                owing_since=900.0,
            ),
            900.0 + POLICY.settle,
        ),
        (
            dataclasses.replace(
                seen(rental(running()), pod(), contact=agent("running")), max_seconds=3600.0
            ),
            1000.0 + 3600.0,
        ),
    ],
    ids=["boot", "silence", "first-ssh", "guard", "missing", "unclear", "settle", "job"],
)
def test_a_wait_knows_when_it_ends(look: Observed, until: float) -> None:
    """The deadline is that by which the planner itself acts."""
    action = decide(look, POLICY)

    assert isinstance(action, actions.Wait)
    assert action.until == until


def test_a_deadline_decides_nothing() -> None:
    """Two waits for the same are the same action, whatever is told of them."""
    assert actions.Wait(3.0, "for it", 5.0) == actions.Wait(3.0, "for it")
