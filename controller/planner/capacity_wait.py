"""Waits for capacity: when the provider is asked again, and until when. Pure; part of `decide`.

The end of the wait is a term of the lease, in Unix seconds, so that any later podctl carries it on.
"""

from __future__ import annotations

from controller.planner.actions import Action, AskAgain, Wait
from controller.planner.observation import Observation
from controller.planner.policy import Policy
from controller.terminal import formatting

OFFERS_EVERY = 60.0  # seconds for which a quote is good otherwise
BACKOFF = 0.1  # of the time waited so far: the pause before the next request
LONGEST_PAUSE = 600.0  # seconds


def offers_good_for(wall: float, policy: Policy) -> float:
    """Seconds for which stated offers are used; during a wait that is the pause between requests.

    It grows with the time waited, so it needs no count of the requests.
    """
    if wall >= policy.wait_until:
        return min(OFFERS_EVERY, policy.capacity_pause)
    waited = max(0.0, wall - policy.wait_since)
    return min(LONGEST_PAUSE, max(policy.capacity_pause, BACKOFF * waited))


def ask_again(observation: Observation, policy: Policy) -> Action | None:
    """What a lease without an available offer does; None when it does not wait any longer."""
    provider = observation.provider
    refused_at = provider.capacity_refused_at
    newer = refused_at is None or (provider.offers_at or 0.0) > refused_at
    if policy.wait_until and observation.lease.tried and newer:
        return AskAgain()  # the provider states stock again for what it refused before
    if observation.wall >= policy.wait_until:
        return None
    return _wait(observation, policy)


def _wait(observation: Observation, policy: Policy) -> Wait:
    """Wait until the next request; the text says when the last one was, and how long this goes."""
    asked_at = observation.since(observation.provider.offers_at)
    due = asked_at + offers_good_for(observation.wall, policy) - observation.now
    left = policy.wait_until - observation.wall
    seconds = max(0.0, min(due, left))
    asked = observation.wall - (observation.now - asked_at)
    why = (
        f"for capacity until {formatting.moment(policy.wait_until)}; "
        f"asked at {formatting.time_of_day(asked)}, "
        f"asks again at {formatting.time_of_day(observation.wall + seconds)} UTC"
    )
    # Short steps, so that a stop request is seen soon.
    return Wait(min(seconds, policy.ask_again), why, observation.now + left)
