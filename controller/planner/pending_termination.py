"""What to do about pods that were given up: terminate them until the provider confirms it."""

from __future__ import annotations

from controller.planner.actions import (
    Action,
    ConfirmGone,
    NeedsOperator,
    ReconcileBilling,
    Terminate,
    Wait,
)
from controller.planner.lease_state import PendingTermination
from controller.planner.observation import Observation
from controller.planner.policy import Policy
from controller.planner.provisioning import listed_at, terminate_orphan, wait_for_provider
from controller.planner.teardown import bill_wait
from controller.providers.base import PodStatus


def end_pending(observation: Observation, policy: Policy) -> Action | None:
    """Terminate given-up pods until the provider confirms it; nothing is rented before that."""
    if observation.lease.pending_terminations:
        return _confirm_termination(observation, policy, observation.lease.pending_terminations[0])
    if observation.lease.pod is not None:
        for pod in observation.ours():
            if pod.id != observation.lease.pod:
                return terminate_orphan(
                    observation, pod.id, "surplus: a second pod of this lease appeared"
                )
    return None


def _confirm_termination(
    observation: Observation, policy: Policy, pending: PendingTermination
) -> Action:
    asked = observation.pods.asked.get(pending.pod)
    listing = observation.provider.listing
    if asked is None:  # by this process
        listed = listing is not None and listing.get(pending.pod) is not None
        there = listed and pending.ended_at is not None
        return Terminate(pending.pod, "given up before", still_there=there)
    if listing is None or listing.started <= asked:
        return wait_for_provider(
            observation, policy, f"for the provider to confirm that {pending.pod} is gone"
        )
    pod = listing.get(pending.pod)
    if pod is not None and pod.status is not PodStatus.TERMINATED:
        if overdue := _overdue(observation, policy, pending.pod):
            return overdue
        if observation.now - asked >= policy.ask_again:
            return Terminate(pending.pod, "still listed", still_there=True)
        until = (
            observation.now
            if observation.pods.owing_since is None
            else observation.pods.owing_since
        ) + policy.lost
        return Wait(policy.poll_boot, f"for {pending.pod} to leave the listing", until)
    # Absence proves the end only of a pod that was listed and whose termination was accepted.
    known = pending.clean and pending.pod in observation.pods.listed
    absent = listing.started - asked
    if pending.ended_at is not None:  # accepted by an earlier process, maybe: that time counts too
        absent = max(absent, listed_at(observation, listing) - pending.ended_at)
    if known or absent >= policy.settle:
        return bill_wait(observation) or _book_end(observation, pending)
    why = f"until {pending.pod} stays out of the listing"
    return Wait(policy.poll_boot, why, listing.started + policy.settle - absent)


def _overdue(observation: Observation, policy: Policy, pod: str) -> Action | None:
    """NeedsOperator for a pod that stays listed long after it was terminated."""
    since = observation.since(observation.pods.owing_since)
    if observation.now - since <= policy.lost:
        return None
    return NeedsOperator(
        "connection-lost",
        f"Pod {pod} is still listed {(observation.now - since) / 60:.0f} minutes after it was "
        "told to go, and may bill.",
        "podctl sync terminates it again; you can also end it in the provider's console",
    )


def _book_end(observation: Observation, pending: PendingTermination) -> Action:
    """The pod is gone; an unanswered start before that may have cost something."""
    if observation.lease.start_unclear is not None:
        return ReconcileBilling(pending.pod, observation.lease.start_unclear)
    return ConfirmGone(pending.pod)
