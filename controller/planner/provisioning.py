"""From no pod to one, exactly once. Pure; part of `plan.decide`."""

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
from controller.planner.lease_state import LeaseState, RunFacts
from controller.planner.observation import Observation
from controller.planner.policy import Policy
from controller.providers.base import Pod

TOO_DEAR = "one more could cost more than the most that was printed before renting"


def blind_wait(seen: Observation, policy: Policy, why: str) -> Action:
    if seen.blind_since is not None and seen.now - seen.blind_since > policy.blind:
        return NeedsOperator(
            "connection-lost",
            f"The provider does not answer; waited {why}.",
            "podctl sync, when the network is back",
        )
    until = None if seen.blind_since is None else seen.blind_since + policy.blind
    return Wait(policy.poll_boot, why, until)


def rent(seen: Observation, policy: Policy) -> Action:
    rental = seen.rental
    current = rental.current
    assert current is not None
    if rental.stop:
        return Finish(current.run, "stopped", "ended by the user")
    if current.started and not current.pulled and not rental.shared_disk:
        return Finish(current.run, "pod-lost", "the pod is gone; what was pulled is here")
    if current.fetching and not current.pulled:
        return Finish(current.run, "unpulled", "its pod is gone; its network volume has the files")
    if not policy.rents and not (rental.unsettled and not rental.had_pod):
        return Finish(current.run, "pod-lost", "the adopted pod is gone; nothing else is rented")
    if rental.refused:
        return Finish(current.run, "refused", rental.refused)
    if seen.over_cap:
        return Finish(current.run, "time-up", f"budget: ${seen.spent_usd:.2f} spent")
    if rental.had_pod and rental.pods_tried >= policy.generations:
        return Finish(current.run, "bad-hosts", f"{_tried(rental)}, none would do{_last(rental)}")
    if rental.had_pod and not affordable(seen, policy):
        return Finish(current.run, "bad-hosts", f"{_tried(rental)}, and {TOO_DEAR}{_last(rental)}")
    if rental.nonce is None or rental.had_pod:
        return OpenGeneration(rental.generation + 1)
    if rental.unsettled:
        return _probe(seen, policy)
    return _next_offer(seen, policy, current)


def _tried(rental: LeaseState) -> str:
    return "one pod" if rental.pods_tried == 1 else f"{rental.pods_tried} pods"


def _last(rental: LeaseState) -> str:
    return f"; of the last: {rental.given_back}" if rental.given_back else ""


def affordable(seen: Observation, policy: Policy) -> bool:
    """Whether one more pod, or one more start, stays within what was printed before renting."""
    return policy.spare_usd is None or seen.spent_usd <= policy.spare_usd


def misfit(rental: LeaseState, pod: Pod, policy: Policy) -> str:
    """What is wrong with a pod by the provider's own words: its price or its hardware."""
    quoted = min(rental.quoted_usd_per_hour, policy.dearest_usd_per_hour or math.inf)
    limit = policy.max_usd_per_hour or quoted * policy.price_tolerance
    if limit and pod.usd_per_hour > limit:
        return f"it costs ${pod.usd_per_hour:.2f}/h, over ${limit:.2f}/h"
    if pod.gpu is None or rental.offer is None:
        return ""  # a CPU pod, or the provider does not say
    count = rental.offer_count or pod.gpu_count
    if (pod.gpu.casefold(), pod.gpu_count) == (rental.offer.casefold(), count):
        return ""
    return f"it has {pod.gpu_count} x {pod.gpu}; {count} x {rental.offer} was asked for"


def end_stray(seen: Observation, pod: str, why: str) -> Action:
    """End a pod of ours that was never the lease's own; what it cost is written down first."""
    return Terminate(pod, why) if pod in seen.rental.pods else RecordPod(pod)


def _probe(seen: Observation, policy: Policy) -> Action:
    """A create without an answer: look for its nonce during a whole settle window."""
    assert seen.probing_since is not None
    mine = [pod for pod in seen.ours() if pod.nonce == seen.rental.nonce]
    if mine:
        return Adopt(mine[0].id)
    if seen.listing is None:
        return blind_wait(seen, policy, "to see whether the create went through")
    if seen.listing.started - seen.probing_since < policy.settle:
        until = seen.probing_since + policy.settle
        return Wait(policy.poll_boot, "to see whether the create went through", until)
    return _next_offer(seen, policy, seen.rental.current)


def _next_offer(seen: Observation, policy: Policy, current: RunFacts | None) -> Action:
    rental = seen.rental
    assert current is not None
    if not policy.rents:
        return Finish(current.run, "pod-lost", "the adopted pod is not to be found")
    if seen.throttled_since is not None and seen.now - seen.throttled_since > policy.blind:
        return _not_taken(seen, current)
    if seen.now < seen.throttled_until:
        until, why = seen.throttled_until, "because the provider asked us to slow down"
        return Wait(until - seen.now, why, until)
    if seen.offers is None:
        return _unquoted(seen, policy)
    refused = {offer for offer, _ in rental.tried}
    most = policy.dearest_usd_per_hour or math.inf
    for offer in seen.offers:
        fits = offer.usd_per_hour <= most * policy.price_tolerance
        if offer.id not in refused and offer.availability != "NONE" and fits:
            return Create(offer)
    tried = "; ".join(f"{offer}: {why}" for offer, why in rental.tried)
    return Finish(current.run, "no-capacity", tried or "no accepted type is available")


def _not_taken(seen: Observation, current: RunFacts) -> Action:
    """No create was taken for as long as we bear it: an outage, and no refusal."""
    minutes = (seen.now - (seen.throttled_since or seen.now)) / 60
    why = seen.create_trouble or "it asks to wait, again and again"
    unclear = seen.rental.ambiguous or seen.rental.unsettled
    rented = "podctl sync looks for what may have been rented" if unclear else "nothing was rented"
    return NeedsOperator(
        "connection-lost",
        f"The provider takes no order for a pod, for {minutes:.0f} minutes: {why}.",
        f"podctl run {current.stage}, later; {rented}",
    )


def _unquoted(seen: Observation, policy: Policy) -> Action:
    """The listing comes and the catalog does not: it is waited for as a silent provider is."""
    since = seen.unquoted_since if seen.unquoted_since is not None else seen.now
    if seen.now - since > policy.blind:
        return NeedsOperator(
            "connection-lost",
            "The provider does not say what it offers.",
            "podctl sync, later; nothing is rented meanwhile",
        )
    return blind_wait(seen, policy, "for the provider's offers")
