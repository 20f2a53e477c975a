"""Offers are ranked by what the stages would cost on them, where that is predicted."""

from __future__ import annotations

from dataclasses import replace

from controller.costs.expectation import Expectation, StageModel, by_definition
from controller.costs.offer_choice import Funds, choose_offers
from controller.costs.pricing import Budget, WorstCase
from controller.costs.stage_work import SETS, work_of
from controller.planner.gpu_memory import architecture
from controller.providers.base import Offer
from controller.providers.offers import by_price, by_stage_usd
from jobs.catalog import load_stages

SHAPE = architecture("Qwen/Qwen2.5-32B")
DPO = StageModel("stage1d", 0.5, 3.0, work_of("dpo", {}, SETS["english"]), SHAPE)


def offer(name: str, usd_per_hour: float, stock: str = "HIGH") -> Offer:
    return Offer("gpu", name, name, 1, 80, usd_per_hour, stock, "SECURE")


H200, A40 = offer("NVIDIA H200", 1.0), offer("NVIDIA A40", 0.44)
UNKNOWN = offer("NVIDIA X1", 0.1)


def worst_of(usd_per_hour: float) -> WorstCase:
    return WorstCase(5.0, 5.0 * usd_per_hour, 0.0, 0.0)


def test_a_faster_type_is_cheaper_for_the_stage_though_dearer_an_hour() -> None:
    """An H200 at $1 does in minutes what an A40 at $0.44 does in more than twice the time."""
    expectation = Expectation((DPO,))

    assert by_price([H200, A40])[0] == A40
    assert expectation.ranked([A40, H200])[0] == H200
    assert expectation.usd(H200) < expectation.usd(A40)


def test_stages_with_hours_of_their_own_are_ranked_by_price_per_hour() -> None:
    """The same hours on each offer: the order is that of the prices, without stock last."""
    stages = list(load_stages({"stage1c": {"hours": 1.0}}).values())
    offers = [H200, A40, UNKNOWN, offer("empty", 0.01, "NONE")]

    assert by_definition(stages).ranked(offers) == by_price(offers)
    assert not by_definition(stages).predicted
    assert by_definition(stages).hours("anything") == sum(stage.hours for stage in stages)


def test_a_type_without_a_rate_takes_the_hours_of_the_definition() -> None:
    """Nothing is guessed for it, and nothing is added to it but what every pod takes."""
    expectation = Expectation((DPO,))

    assert expectation.on(UNKNOWN.id)[0].source == "hours"
    assert expectation.hours(UNKNOWN.id) == 0.5 + expectation.pod_hours


def test_the_ratio_holds_for_the_cost_of_the_stages() -> None:
    """Over three times the cheapest expected cost is dropped, whatever an hour costs."""
    dear = offer("NVIDIA RTX A4000", 0.9)  # a slow type: cheap an hour, dear for the stage
    expectation = Expectation((DPO,))
    money = Funds(Budget(None, None))
    choice = choose_offers([H200, dear], worst_of, money, 3.0, expectation.usd)

    assert choice.offers == (H200,)
    assert "for the stages" in choice.dropped[0].reason
    assert choice.most_stage_usd == 3.0 * expectation.usd(H200)
    assert len(choose_offers([H200, dear], worst_of, money, 3.0).offers) == 2


def test_the_cheapest_for_the_stages_that_cannot_be_paid_refuses_no_other() -> None:
    """Worst cases are limits times price: a balance that is too low for an H200 may pay an A40."""
    expectation, money = Expectation((DPO,)), Funds(Budget(None, None), 0.0, 4.0)
    choice = choose_offers([H200, A40], worst_of, money, 3.0, expectation.usd)

    assert (choice.offers, choice.refusal) == ((A40,), "")
    assert "balance" in choice.dropped[0].reason


def test_an_earlier_run_on_another_type_scales_the_prediction() -> None:
    """Its own type is "this project", the other "scaled", both by measured over predicted time."""
    earlier = replace(DPO, earlier={H200.id: 2.0})

    assert earlier.on(H200.id).source == "this project"
    assert earlier.on(A40.id).source == "scaled"
    assert earlier.on(A40.id).hours == 2 * DPO.on(A40.id).hours


def test_a_type_that_would_use_up_max_hours_is_named() -> None:
    """The limit is the stage's; a prediction that keeps to it says nothing."""
    short = Expectation((replace(DPO, max_hours=0.2),))

    assert short.too_slow(A40.id).startswith("stage1d would take")
    assert "max_hours is 12 min" in short.too_slow(A40.id)
    assert short.too_slow(H200.id) == ""


def test_equal_costs_prefer_the_lower_price_and_stock_comes_first() -> None:
    """The worst case of the cheaper one an hour is lower."""
    fast, slow = offer("fast", 2.0), offer("slow", 1.0)
    hours = {"fast": 1.0, "slow": 2.0, "none": 0.1}
    empty = offer("none", 0.1, "NONE")

    assert by_stage_usd([empty, fast, slow], hours.__getitem__) == (slow, fast, empty)
