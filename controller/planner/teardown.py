"""From the last outcome to a clean listing. Pure; part of `plan.decide`."""

from __future__ import annotations

from controller.planner.actions import (
    Action,
    Close,
    ConfirmGone,
    ConfirmParked,
    Done,
    NeedsOperator,
    ReconcileBilling,
    RecordRestart,
    StopPod,
    Terminate,
    Wait,
)
from controller.planner.lease_state import NOTHING_LEFT, OVERDUE, RunFacts
from controller.planner.observation import Observation
from controller.planner.policy import Policy
from controller.planner.provisioning import terminate_orphan, wait_for_provider
from controller.providers.base import PodStatus


def close(seen: Observation, policy: Policy) -> Action:
    """Every run has its outcome: the pod goes as the policy says, then a clean listing ends it."""
    lease_state = seen.lease_state
    if lease_state.pod is not None:
        if reckoned := reckon(seen, lease_state.pod):
            return reckoned
        disposal = _disposal(seen, policy)
        if disposal == "terminate":
            return Terminate(lease_state.pod, "the lease is over")
        if disposal == "keep":
            return _gone(seen, policy, lease_state.pod) or Done("kept")
        if lease_state.parked:
            return _gone(seen, policy, lease_state.pod) or Done("parked")
        return park(seen, policy, lease_state.pod)
    if not lease_state.nonces:
        return Close(_outcome(seen))
    return _sweep(seen, policy)


def reckon(seen: Observation, pod: str) -> Action | None:
    """Where the books and the provider differ on whether the pod runs, the books follow."""
    lease_state = seen.lease_state
    if seen.runs_unbooked or (lease_state.parked and seen.runs):
        return RecordRestart(pod)
    if seen.stopped_unbooked:
        return bill_wait(seen) or ConfirmParked(pod)
    if lease_state.parked and seen.unfollowed_start is not None:
        return bill_wait(seen) or ReconcileBilling(pod, seen.unfollowed_start)
    stopped = seen.pod is not None and seen.pod.status is PodStatus.EXITED
    if stopped and lease_state.parked and lease_state.start_unclear is not None:
        return bill_wait(seen) or ReconcileBilling(pod, lease_state.start_unclear)
    return None


def bill_wait(seen: Observation) -> Wait | None:
    """What only the bill can tell waits until it is worth asking again."""
    if seen.now < seen.bill_retry_at:
        until = seen.bill_retry_at
        return Wait(until - seen.now, "for the provider's bill", until)
    return None


def _disposal(seen: Observation, policy: Policy) -> str:
    lease_state = seen.lease_state
    if lease_state.abandon or not any(_left_something(run) for run in lease_state.runs):
        return "terminate"
    if lease_state.unpulled:  # never give up what is only there
        overdue = any(
            run.outcome == OVERDUE for run in lease_state.runs
        )  # but money has its bounds
        return "park" if lease_state.keeps_disk else "terminate" if overdue else "keep"
    if lease_state.stop == "park" and not lease_state.keeps_disk:
        return "terminate"
    if lease_state.stop:
        return lease_state.stop
    passed = all(run.outcome == "passed" for run in lease_state.wanted)
    wish = policy.on_success if passed else policy.on_failure
    # Without a volume there is nothing that parking would keep.
    return "terminate" if wish == "park" and not lease_state.keeps_disk else wish


def _left_something(run: RunFacts) -> bool:
    """Whether anything of the run can be on the pod at all."""
    return run.started and run.outcome not in NOTHING_LEFT


def _gone(seen: Observation, policy: Policy, pod_id: str) -> Action | None:
    """A pod that waits for the user and is gone, by whoever's hand, costs no more."""
    if seen.listing is None or seen.missing_since is None:
        return None
    return _missing(seen, policy, pod_id)


def _missing(seen: Observation, policy: Policy, pod_id: str) -> Action:
    since = seen.missing_since if seen.missing_since is not None else seen.now
    if seen.now - since >= policy.settle:
        return bill_wait(seen) or ConfirmGone(pod_id)
    why = "because the pod is not in the provider's listing"
    return Wait(policy.poll_boot, why, since + policy.settle)


def park(seen: Observation, policy: Policy, pod_id: str) -> Action:
    """Stop the pod and wait until the provider confirms it."""
    asked = seen.asked.get(pod_id)
    if asked is None:
        return StopPod(pod_id, "parked")
    if seen.listing is None or seen.listing.started <= asked:
        return wait_for_provider(seen, policy, "for the provider to confirm that the pod is parked")
    pod = seen.listing.get(pod_id)
    if pod is not None and pod.status is PodStatus.EXITED:
        return ConfirmParked(pod_id)
    if pod is None or pod.status is PodStatus.TERMINATED:
        return _missing(seen, policy, pod_id)
    if pod.status is PodStatus.ERROR and not seen.lease_state.unpulled:
        return Terminate(pod_id, "it cannot be parked: the provider reports ERROR")
    since = seen.parking_since if seen.parking_since is not None else seen.now
    if seen.now - since > policy.lost:
        return NeedsOperator(
            "connection-lost",
            f"Pod {pod_id} does not stop: the provider reports {pod.status}, and it may bill.",
            "podctl stop tries again; the provider's console stops it by hand",
        )
    if seen.now - asked >= policy.ask_again:
        return StopPod(pod_id, "still running")
    return Wait(policy.poll_boot, "for the pod to stop", since + policy.lost)


def _sweep(seen: Observation, policy: Policy) -> Action:
    """No pod of any of our nonces may be left; an unclear create costs a whole settle window."""
    if seen.listing is None:
        return wait_for_provider(seen, policy, "for a last clean listing")
    for pod in seen.ours():
        return terminate_orphan(seen, pod.id, "left over")
    if seen.lease_state.ambiguous or seen.lease_state.unsettled:
        since = seen.probing_since if seen.probing_since is not None else seen.now
        if seen.listing.started - since < policy.settle:
            why = "for a last clean listing after an unclear create"
            return Wait(policy.poll_boot, why, since + policy.settle)
    if seen.unclosed:  # booked, and gone before the journal had it
        return bill_wait(seen) or ConfirmGone(min(seen.unclosed))
    return Close(_outcome(seen))


def _outcome(seen: Observation) -> str:
    """The lease's outcome is that of its first run that did not pass."""
    for run in seen.lease_state.wanted:
        if run.outcome != "passed":
            return run.outcome or "open"
    return "passed"
