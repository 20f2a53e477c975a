"""Gets the lease its pod, exactly one. Pure; part of `decide`."""

from __future__ import annotations

import math

from controller.planner.actions import (
    Action,
    Adopt,
    Create,
    Finish,
    NeedsOperator,
    OpenGeneration,
    RecordPod,
    Terminate,
    Wait,
)
from controller.planner.capacity_wait import ask_again
from controller.planner.lease_state import SUPERSEDED, LeaseState, RunFacts
from controller.planner.observation import Listing, Observation
from controller.planner.policy import Policy
from controller.providers.base import Offer, Pod
from controller.providers.offers import by_stage_usd

TOO_DEAR = "one more could exceed the worst case that was printed before renting"


def wait_for_provider(observation: Observation, policy: Policy, why: str) -> Action:
    if observation.now - observation.since(observation.provider.blind_since) > policy.blind:
        return NeedsOperator(
            "connection-lost",
            f"The provider does not respond; podctl waited {why}.",
            "podctl sync when the network works again",
        )
    until = (
        None
        if observation.provider.blind_since is None
        else observation.provider.blind_since + policy.blind
    )
    return Wait(policy.poll_boot, why, until)


def rent(observation: Observation, policy: Policy) -> Action:
    lease_state = observation.lease
    current = lease_state.current
    assert current is not None
    if lease_state.stop:
        return Finish(current.run, "stopped", "stopped by the user")
    if locked := observation.locked_by_other(current):
        return Finish(current.run, SUPERSEDED, locked)
    if current.started and not current.pulled and not lease_state.shared_disk:
        return Finish(
            current.run, "pod-lost", "the pod is gone; files that were pulled before are kept"
        )
    if current.fetching and not current.pulled:
        return Finish(current.run, "unpulled", "its pod is gone; its network volume has the files")
    if not policy.may_rent and not (lease_state.unsettled and not lease_state.had_pod):
        return Finish(current.run, "pod-lost", "the adopted pod is gone, and no other is rented")
    if lease_state.refused:
        return Finish(current.run, "refused", lease_state.refused)
    if observation.over_cap:
        return Finish(current.run, "time-up", f"budget: ${observation.local.spent_usd:.2f} spent")
    if lease_state.had_pod and lease_state.pods_tried >= policy.generations:
        return Finish(
            current.run, "bad-hosts", f"{_tried(lease_state)}, none was usable{_last(lease_state)}"
        )
    if lease_state.had_pod and not affordable(observation, policy):
        return Finish(
            current.run, "bad-hosts", f"{_tried(lease_state)}, and {TOO_DEAR}{_last(lease_state)}"
        )
    if lease_state.nonce is None or lease_state.had_pod:
        return OpenGeneration(lease_state.generation + 1)
    if lease_state.unsettled:
        return _probe(observation, policy)
    return _next_offer(observation, policy, current)


def _tried(lease_state: LeaseState) -> str:
    return "one pod" if lease_state.pods_tried == 1 else f"{lease_state.pods_tried} pods"


def _last(lease_state: LeaseState) -> str:
    return f"; of the last: {lease_state.given_back}" if lease_state.given_back else ""


def affordable(observation: Observation, policy: Policy) -> bool:
    """Whether one more pod, or one more start, stays within what was printed before renting."""
    return (
        policy.replacement_budget_usd is None
        or observation.local.spent_usd <= policy.replacement_budget_usd
    )


def spec_mismatch(lease_state: LeaseState, pod: Pod, policy: Policy) -> str:
    """What is wrong with a pod's price or hardware, as the provider reports them; or empty."""
    quoted = min(lease_state.quoted_usd_per_hour, policy.max_offer_usd_per_hour or math.inf)
    limit = policy.max_usd_per_hour or quoted * policy.price_tolerance
    if limit and pod.usd_per_hour > limit:
        return f"it costs ${pod.usd_per_hour:.2f}/h, over ${limit:.2f}/h"
    if pod.gpu is None or lease_state.offer is None:
        return ""  # a CPU pod, or the provider does not say
    count = lease_state.offer_count or pod.gpu_count
    if (pod.gpu.casefold(), pod.gpu_count) == (lease_state.offer.casefold(), count):
        return ""
    return f"it has {pod.gpu_count} x {pod.gpu}; {count} x {lease_state.offer} was asked for"


def terminate_orphan(observation: Observation, pod: str, why: str) -> Action:
    """Terminate a pod of the lease that is not its present one, after recording its cost."""
    return Terminate(pod, why) if pod in observation.lease.pods else RecordPod(pod)


def unclear_for(observation: Observation) -> float:
    """Seconds between an unclear create and the newest listing.

    They count in this process only: the request may have been under way while a killed one was
    suspended. A pod that was imported had no such request, so there they count over processes.
    """
    listing, lease_state = observation.provider.listing, observation.lease
    assert listing is not None
    seconds = listing.started - observation.since(observation.provider.probing_since)
    if lease_state.claimed_at is None:
        return seconds
    return max(seconds, listed_at(observation, listing) - lease_state.claimed_at)


def listed_at(observation: Observation, listing: Listing) -> float:
    """Unix seconds of a listing."""
    return observation.wall - (observation.now - listing.started)


def _probe(observation: Observation, policy: Policy) -> Action:
    """Search for the pod of an unanswered create by its nonce, for a whole settle window."""
    assert observation.provider.probing_since is not None
    matches = [pod for pod in observation.ours() if pod.nonce == observation.lease.nonce]
    if matches:
        return Adopt(matches[0].id)
    if observation.provider.listing is None:
        return wait_for_provider(observation, policy, "to see whether the create went through")
    if (unclear := unclear_for(observation)) < policy.settle:
        until = observation.provider.listing.started + policy.settle - unclear
        return Wait(policy.poll_boot, "to see whether the create went through", until)
    return _next_offer(observation, policy, observation.lease.current)


def _next_offer(observation: Observation, policy: Policy, current: RunFacts | None) -> Action:
    lease_state = observation.lease
    assert current is not None
    if not policy.may_rent:
        return Finish(current.run, "pod-lost", "the adopted pod was not found")
    waiting = observation.wall < policy.wait_until  # for capacity; an outage does not end that
    if (
        observation.provider.throttled_since is not None
        and observation.now - observation.provider.throttled_since > policy.blind
        and not waiting
    ):
        return _not_taken(observation, current)
    if observation.now < observation.provider.throttled_until:
        until, why = (
            observation.provider.throttled_until,
            "because the provider asked us to slow down",
        )
        return Wait(until - observation.now, why, until)
    if observation.provider.offers is None:
        if waiting:
            until = observation.now + policy.wait_until - observation.wall
            return Wait(policy.ask_again, "for the provider's offers", until)
        return _unquoted(observation, policy)
    refused = {offer for offer, _ in lease_state.tried}
    offers = by_stage_usd(observation.provider.offers, policy.hours_on)
    available = [offer for offer in offers if offer.availability != "NONE"]
    for offer in available:
        if offer.id not in refused and _within_quote(offer, policy):
            return Create(offer)
    if waits := ask_again(observation, policy):
        return waits
    tried = "; ".join(f"{offer}: {why}" for offer, why in lease_state.tried)
    why = tried or "no accepted type is available"
    too_dear = sum(not _within_quote(offer, policy) for offer in available)
    return Finish(current.run, "no-capacity", why + _left_out(too_dear, policy))


def _within_quote(offer: Offer, policy: Policy) -> bool:
    """Whether the printed worst case covers the offer, and it was not dropped for its price."""
    if offer.id in policy.slow_offers:
        return False
    most, most_usd = policy.max_offer_usd_per_hour or math.inf, policy.max_stage_usd or math.inf
    tolerance = 1.0 if offer.id in policy.dropped_offers else policy.price_tolerance
    stage_usd = offer.usd_per_hour * policy.hours_on(offer.id)
    return offer.usd_per_hour <= most * tolerance and stage_usd <= most_usd * tolerance


def _left_out(count: int, policy: Policy) -> str:
    """How many available types are too expensive for this lease."""
    if not count:
        return ""
    types = "1 available type is" if count == 1 else f"{count} available types are"
    most = policy.max_offer_usd_per_hour or 0.0
    return f"; {types} not taken: over ${most:.2f}/h (max_price_ratio, balance or budget)"


def _not_taken(observation: Observation, current: RunFacts) -> Action:
    """The provider has accepted no create for too long: an outage, not a refusal."""
    minutes = (observation.now - (observation.provider.throttled_since or observation.now)) / 60
    why = observation.provider.create_trouble or "it keeps asking to wait"
    unclear = observation.lease.ambiguous or observation.lease.unsettled
    rented = "podctl sync searches for a pod that may exist" if unclear else "nothing was rented"
    return NeedsOperator(
        "connection-lost",
        f"The provider has accepted no create for {minutes:.0f} minutes: {why}.",
        f"podctl run {current.stage}, later; {rented}",
    )


def _unquoted(observation: Observation, policy: Policy) -> Action:
    """The provider lists pods but no offers; wait for them as for a silent provider."""
    since = observation.since(observation.provider.unquoted_since)
    if observation.now - since > policy.blind:
        return NeedsOperator(
            "connection-lost",
            "The provider does not list its offers.",
            "podctl sync, later; nothing is rented meanwhile",
        )
    return wait_for_provider(observation, policy, "for the provider's offers")
