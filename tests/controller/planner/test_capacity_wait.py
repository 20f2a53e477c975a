"""Waiting for capacity: when podctl asks again, and when it stops to."""

from __future__ import annotations

import dataclasses

import pytest
from click import BadParameter
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.cli.duration import DurationType
from controller.planner import actions
from controller.planner.capacity_wait import LONGEST_PAUSE, offers_good_for
from controller.planner.decide import decide
from controller.planner.observation import Observation
from controller.planner.policy import Policy
from tests.controller.planner.test_decide import OFFER, lease_state, seen

SINCE = 1_000_000.0  # Unix seconds
UNTIL = SINCE + 6 * 3600.0
POLICY = dataclasses.replace(Policy(), wait_since=SINCE, wait_until=UNTIL)
EMPTY = lease_state(pod=None, had_pod=False, reached=False, pods=())
NONE = dataclasses.replace(OFFER, availability="NONE")
TRIED = dataclasses.replace(EMPTY, tried=((OFFER.id, "no capacity"),))


def looked(
    state: object = EMPTY,
    *,
    waited: float = 0.0,
    offers_at: float = 0.0,
    refused_at: float | None = None,
    stock: str = "NONE",
) -> Observation:
    """An observation `waited` seconds into the wait; the clock's zero is its begin."""
    offer = dataclasses.replace(OFFER, availability=stock)
    observation = seen(state, offers=(offer,), now=waited, wall=SINCE + waited)
    provider = dataclasses.replace(
        observation.provider, offers_at=offers_at, capacity_refused_at=refused_at
    )
    return dataclasses.replace(observation, provider=provider)


def test_without_capacity_podctl_waits_and_says_when_it_asked_and_until_when() -> None:
    """Unless no wait was asked for: then the run ends at once, as it always did."""
    waits = decide(looked(waited=5.0), POLICY)
    ends = decide(looked(waited=5.0), Policy())

    assert isinstance(waits, actions.Wait)
    assert waits.why == (
        "for capacity until 1970-01-12 19:46 UTC; asked at 13:46:40, asks again at 13:47:40 UTC"
    )
    assert waits.seconds <= POLICY.ask_again
    assert waits.until == pytest.approx(UNTIL - SINCE)
    assert isinstance(ends, actions.Finish)
    assert ends.outcome == "no-capacity"


def test_what_comes_into_stock_is_rented_at_once() -> None:
    """The newest offers decide, whatever was refused in the last round."""
    refused = looked(TRIED, waited=100.0, offers_at=20.0, refused_at=21.0, stock="HIGH")
    newer = looked(TRIED, waited=100.0, offers_at=90.0, refused_at=21.0, stock="HIGH")

    assert decide(looked(waited=100.0, offers_at=99.0, stock="LOW"), POLICY) == actions.Create(
        dataclasses.replace(OFFER, availability="LOW")
    )
    assert isinstance(decide(refused, POLICY), actions.Wait)
    assert decide(newer, POLICY) == actions.AskAgain()


def test_another_process_asks_at_once_and_carries_the_wait_on() -> None:
    """It does not know when the killed one was refused; the end of the wait is in the journal."""
    assert decide(looked(TRIED, waited=100.0, stock="HIGH"), POLICY) == actions.AskAgain()
    assert isinstance(decide(looked(waited=5000.0), POLICY), actions.Wait)


def test_after_the_end_of_the_wait_it_asks_once_more_and_ends() -> None:
    """A process that comes late tries what it finds; then the run ends without capacity."""
    late = UNTIL - SINCE + 1.0
    last = decide(looked(TRIED, waited=late, offers_at=late, stock="HIGH"), POLICY)
    over = looked(TRIED, waited=late, offers_at=late - 2, refused_at=late - 1, stock="HIGH")

    assert last == actions.AskAgain()
    assert isinstance(decide(over, POLICY), actions.Finish)
    assert isinstance(decide(looked(waited=late), POLICY), actions.Finish)


def test_an_outage_of_the_provider_does_not_end_the_wait() -> None:
    """Nothing is rented, so nothing is lost by waiting on."""
    observation = looked(waited=5000.0, stock="HIGH")
    silent = dataclasses.replace(observation.provider, offers=None, unquoted_since=0.0)
    refusing = dataclasses.replace(observation.provider, throttled_since=0.0, throttled_until=9e9)

    for provider in (silent, refusing):
        broken = dataclasses.replace(observation, provider=provider)
        assert isinstance(decide(broken, POLICY), actions.Wait)
        assert isinstance(decide(broken, Policy()), actions.NeedsOperator)


def test_a_stop_ends_the_wait() -> None:
    """And is seen soon, as a step of the wait is short."""
    stopped = dataclasses.replace(EMPTY, stop="terminate")
    ended = decide(looked(stopped, waited=10.0), POLICY)

    assert isinstance(ended, actions.Finish)
    assert ended.outcome == "stopped"


@settings(derandomize=True, deadline=None)
@given(st.floats(0, 6 * 3600), st.floats(0, 6 * 3600))
def test_the_pause_grows_with_the_time_waited_and_has_bounds(first: float, second: float) -> None:
    """From a minute to ten; without a wait a quote is good for a minute."""
    sooner, later = sorted((first, second))
    pauses = [offers_good_for(SINCE + waited, POLICY) for waited in (sooner, later)]

    assert POLICY.capacity_pause <= pauses[0] <= pauses[1] <= LONGEST_PAUSE
    assert offers_good_for(SINCE, Policy()) == 60.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("6h", 21_600), ("90m", 5400), ("1h30m", 5400), ("1.5h", 5400), ("45 min", 2700), ("30S", 30)],
)
def test_a_duration_is_numbers_with_units(text: str, seconds: float) -> None:
    """As people write them."""
    assert DurationType().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "6", "h", "6x", "6h later", "-1h", "0s", "31d", "nan"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """A number without a unit could be anything."""
    with pytest.raises(BadParameter, match=r"no duration|not between"):
        DurationType().convert(text, None, None)
