"""Which offers a lease may take: the price and the worst case decide, offer by offer."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.costs.offer_choice import Funds, choose_offers
from controller.costs.pricing import Budget, Reserved, WorstCase
from controller.providers.base import Offer
from controller.providers.offers import by_price, priced, title

HOURS = 3.67
STOCKS = ("NONE", "LOW", "HIGH")


def worst_of(usd_per_hour: float) -> WorstCase:
    """A pod of 3.67 h, with 10 cents for its disks."""
    return WorstCase(HOURS, HOURS * usd_per_hour, 0.1, 0.4)


def gpu(usd_per_hour: float, name: str = "", stock: str = "HIGH") -> Offer:
    name = name or f"GPU {usd_per_hour}"
    return Offer("gpu", name, name, 1, 24, usd_per_hour, stock, "SECURE")


A4000, B200 = gpu(0.25, "RTX A4000"), gpu(5.98, "B200")
prices = st.floats(0.05, 50.0)
offers = st.lists(st.tuples(prices, st.sampled_from(STOCKS)), min_size=1, max_size=12).map(
    lambda rows: by_price(gpu(price, f"g{i}", stock) for i, (price, stock) in enumerate(rows))
)
sums = st.floats(0.0, 500.0)
funds = st.builds(
    Funds,
    st.builds(Budget, st.none() | sums, st.none() | st.floats(0.01, 500.0)),
    sums,
    st.none() | sums,
    st.builds(Reserved, sums, sums),
)


@settings(derandomize=True, deadline=None)
@given(offers, funds, st.floats(1.0, 100.0))
def test_every_offer_is_taken_or_dropped_and_only_what_fits_is_taken(
    accepted: tuple[Offer, ...], money: Funds, ratio: float
) -> None:
    """The order stays; what is kept fits money and ratio, what is dropped does not."""
    choice = choose_offers(accepted, worst_of, money, ratio)
    dropped = {rejection.offer.id for rejection in choice.dropped}
    cheapest = min(offer.usd_per_hour for offer in accepted)

    assert choice.offers == tuple(offer for offer in accepted if offer.id not in dropped)
    assert all(rejection.reason for rejection in choice.dropped)
    for offer in accepted:
        fits = not money.refusal(worst_of(offer.usd_per_hour))
        near = offer.usd_per_hour <= cheapest * ratio + 1e-9
        if not choice.refusal:
            assert (offer.id not in dropped) == (fits and near)


@settings(derandomize=True, deadline=None)
@given(offers, funds, st.floats(1.0, 100.0))
def test_a_lease_is_refused_only_when_the_cheapest_offer_does_not_fit(
    accepted: tuple[Offer, ...], money: Funds, ratio: float
) -> None:
    """Whatever the dear ones cost, and whatever has stock."""
    choice = choose_offers(accepted, worst_of, money, ratio)
    cheapest = min(accepted, key=lambda offer: (offer.usd_per_hour, offer.id))

    assert bool(choice.refusal) == bool(money.refusal(worst_of(cheapest.usd_per_hour)))
    assert cheapest in choice.offers
    if choice.refusal:
        assert choice.offers == (cheapest,)
        assert priced(cheapest) in choice.refusal


@settings(derandomize=True, deadline=None)
@given(offers, funds, sums, st.floats(1.0, 50.0))
def test_more_money_or_a_larger_ratio_never_takes_an_offer_away(
    accepted: tuple[Offer, ...], money: Funds, more: float, ratio: float
) -> None:
    """The choice grows with the balance, with the ratio, and with a smaller reserve."""
    small = choose_offers(accepted, worst_of, money, ratio)
    balance = None if money.balance_usd is None else money.balance_usd + more
    richer = Funds(money.budget, money.spent_usd, balance)
    large = choose_offers(accepted, worst_of, richer, ratio + more)

    assert {offer.id for offer in small.offers} <= {offer.id for offer in large.offers}
    assert not large.refusal or small.refusal


@settings(derandomize=True, deadline=None)
@given(offers, funds)
def test_the_printed_sum_of_a_lease_and_of_the_open_ones_is_within_the_budget(
    accepted: tuple[Offer, ...], money: Funds
) -> None:
    """Several open leases together cannot spend more than the project has."""
    choice = choose_offers(accepted, worst_of, money, 3.0)
    dearest = max(offer.usd_per_hour for offer in choice.offers)
    most = money.most_usd(worst_of(dearest))
    project = money.budget.project_usd

    if not choice.refusal and project is not None:
        assert money.spent_usd + money.reserved.lease_usd + most <= project + 1e-6


def test_twenty_five_dollars_rent_the_job_of_five_cents() -> None:
    """The dearest type does not fit the balance, so it is left out; the cheap one is rented."""
    choice = choose_offers((A4000, B200), worst_of, Funds(Budget(None, None), 0.0, 25.0), 100.0)

    assert (choice.offers, choice.refusal) == ((A4000,), "")
    (dropped,) = choice.dropped
    assert dropped.offer == B200
    assert "balance of $25.00 is under 1.5 times the worst case of $22.05" in dropped.reason


def test_a_dear_type_is_left_out_by_the_ratio_to_the_cheapest_even_without_stock() -> None:
    """With all the money in the world, and with the cheap type out of stock for now."""
    money = Funds(Budget(None, None))
    empty = gpu(0.25, "RTX A4000", "NONE")
    near = choose_offers((empty, B200), worst_of, money, 3.0)
    wide = choose_offers((empty, B200), worst_of, money, 24.0)

    assert near.offers == (empty,)
    assert "over $0.75/h, 3 x the cheapest (max_price_ratio)" in near.dropped[0].reason
    assert wide.offers == (empty, B200)


@pytest.mark.parametrize(
    ("money", "text"),
    [
        (Funds(Budget(None, None), 0.0, 1.0), "the balance of $1.00 is under 1.5 times"),
        (Funds(Budget(None, 0.5)), "is over the run's budget $0.50"),
        (Funds(Budget(10.0, None), 9.5), "is over the $0.50 left of the budget (RTX"),
        (
            Funds(Budget(10.0, None), 1.0, None, Reserved(8.5, 4.0)),
            "the $0.50 left of the budget ($8.50 more are reserved for open runs)",
        ),
        (Funds(Budget(1.0, None), 5.0), "is over the $0.00 left of the budget"),
        (
            Funds(Budget(None, None), 0.0, 6.0, Reserved(8.0, 4.0)),
            "1.5 times the $4.00 that open runs may still cost and the worst case of $1.02",
        ),
    ],
)
def test_a_refusal_names_the_sum_and_the_offer(money: Funds, text: str) -> None:
    """The limit that is hit, and the cheapest offer, whose worst case it is."""
    refusal = choose_offers((A4000, B200), worst_of, money, 3.0).refusal

    assert text.replace("(RTX", "(1 x RTX") in refusal
    assert refusal.endswith("(1 x RTX A4000 at $0.25/h, the cheapest offer)")


def test_a_cpu_flavor_is_named_with_its_vcpus() -> None:
    """`2 x Compute-Optimized 5` would read as two pods."""
    flavor = Offer("cpu", "cpu5c", "Compute-Optimized 5", 2, 4, 0.07, "HIGH", "SECURE")

    assert title(flavor) == "Compute-Optimized 5 with 2 vCPUs"
    assert priced(flavor) == "Compute-Optimized 5 with 2 vCPUs at $0.070/h"
    assert priced(gpu(2.5, "L40S")) == "1 x L40S at $2.50/h"
