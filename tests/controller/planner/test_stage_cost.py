"""A lease whose stages were predicted rents by their cost, within what was printed before."""

from __future__ import annotations

import dataclasses

from controller.planner import actions
from controller.planner.decide import decide
from controller.planner.policy import Policy
from tests.controller.planner.test_decide import DEARER, OFFER, lease_state, seen

HOURS = {OFFER.id: 1.0, DEARER.id: 0.1}  # $0.86 and $0.36
POLICY = Policy(stage_hours=HOURS, max_stage_usd=1.0, max_offer_usd_per_hour=3.6)
EMPTY = lease_state(pod=None, had_pod=False)


def test_the_offer_that_is_cheapest_for_the_stages_is_created_first() -> None:
    """Without recorded hours, as in leases of earlier versions, the price per hour decides."""
    offers = (OFFER, DEARER)

    assert decide(seen(EMPTY, offers=offers), POLICY) == actions.Create(DEARER)
    assert decide(seen(EMPTY, offers=offers), Policy()) == actions.Create(OFFER)


def test_an_offer_that_would_cost_too_much_for_the_stages_is_not_taken() -> None:
    """Neither is one that would use up a stage's max_hours, however cheap it is."""
    costly = dataclasses.replace(POLICY, max_stage_usd=0.5)
    slow = dataclasses.replace(POLICY, slow_offers=frozenset({OFFER.id}))

    for policy in (costly, slow):
        action = decide(seen(EMPTY, offers=(OFFER,)), policy)
        assert isinstance(action, actions.Finish), policy
        assert action.outcome == "no-capacity"
        assert decide(seen(EMPTY, offers=(OFFER, DEARER)), policy) == actions.Create(DEARER)


def test_a_prediction_does_not_lift_the_limit_on_the_price() -> None:
    """The printed worst case is hours limit times price; a cheap stage does not excuse a rate."""
    bound = dataclasses.replace(POLICY, max_offer_usd_per_hour=0.86)

    assert decide(seen(EMPTY, offers=(OFFER, DEARER)), bound) == actions.Create(OFFER)


def test_an_offer_without_recorded_hours_counts_as_the_slowest() -> None:
    """A type that the provider offers since the lease was opened is not taken for a fast one."""
    new = dataclasses.replace(OFFER, id="NVIDIA X1", usd_per_hour=0.85)

    assert POLICY.hours_on(new.id) == 1.0
    assert Policy().hours_on(new.id) == 1.0
    assert decide(seen(EMPTY, offers=(new, DEARER)), POLICY) == actions.Create(DEARER)
