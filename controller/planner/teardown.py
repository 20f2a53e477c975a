"""Closes the lease: from the last outcome to a clean listing. Pure; part of `decide`."""

from __future__ import annotations

from dataclasses import replace

from controller.planner.actions import (
    Action,
    Close,
    ConfirmGone,
    ConfirmParked,
    Done,
    KeepWarm,
    Lock,
    NeedsOperator,
    ReconcileBilling,
    RecordRestart,
    StopPod,
    Terminate,
    Wait,
)
from controller.planner.lease_state import NOTHING_LEFT, OVERDUE, RunFacts
from controller.planner.observation import Observation
from controller.planner.pod_spec import GUARD_SLACK
from controller.planner.policy import Policy
from controller.planner.provisioning import terminate_orphan, unclear_for, wait_for_provider
from controller.providers.base import PodStatus

SECOND_LOOK = 1.0  # seconds between two listings that both lack a pod
GUARD_CALL = 15.0  # seconds that a guard's own call to the provider may take
TRIED_AGAIN = ("failed", "criteria")  # outcomes after which a user mends something and runs again


def close(observation: Observation, policy: Policy) -> Action:
    """Every run has its outcome: dispose of the pod by policy, then wait for a clean listing."""
    lease_state = observation.lease
    if lease_state.pod is not None:
        if correction := ledger_correction(observation, lease_state.pod):
            return correction
        if lease_state.visiting and not lease_state.abandon:
            return _gone(observation, policy, lease_state.pod) or Done("kept")
        disposal = _disposal(observation, policy)
        if disposal == "terminate":
            return Terminate(lease_state.pod, "the lease is over")
        if disposal == "warm":
            return _gone(observation, policy, lease_state.pod) or _warm(
                observation, policy, lease_state.pod
            )
        if disposal == "keep":
            return _gone(observation, policy, lease_state.pod) or Done("kept")
        if lease_state.parked:
            return _gone(observation, policy, lease_state.pod) or Done("parked")
        return park(observation, policy, lease_state.pod)
    if not lease_state.nonces:
        return Close(_outcome(observation))
    return _sweep(observation, policy)


def give_up_verified(observation: Observation, policy: Policy, next_step: Action) -> Action | None:
    """The end of the pod before its last run is locked; None where the pod is still wanted.

    At that point every artifact is here, was hashed here, opens here and met the criteria; locking
    reads and writes local files only, and would bill meanwhile.
    """
    lease_state = observation.lease
    if not isinstance(next_step, Lock) or lease_state.pod is None:
        return None
    runs = tuple(
        replace(run, outcome="passed") if run.run == next_step.run else run
        for run in lease_state.runs
    )
    passed = replace(lease_state, runs=runs)
    if passed.current is not None or not passed.passed or lease_state.parked:
        return None
    if _disposal(replace(observation, lease=passed), policy) != "terminate":
        return None
    return Terminate(lease_state.pod, "its artifacts are here and verified")


def ledger_correction(observation: Observation, pod: str) -> Action | None:
    """The action that updates the ledger when it disagrees with the provider about the pod."""
    lease_state = observation.lease
    if observation.runs_unbooked or (lease_state.parked and observation.runs):
        return RecordRestart(pod)
    if observation.stopped_unbooked:
        return bill_wait(observation) or ConfirmParked(pod)
    if lease_state.parked and observation.unfollowed_start is not None:
        return bill_wait(observation) or ReconcileBilling(pod, observation.unfollowed_start)
    stopped = observation.pod is not None and observation.pod.status is PodStatus.EXITED
    if stopped and lease_state.parked and lease_state.start_unclear is not None:
        return bill_wait(observation) or ReconcileBilling(pod, lease_state.start_unclear)
    return None


def bill_wait(observation: Observation) -> Wait | None:
    """Wait until the bill may be asked again; None when it may be asked now."""
    if observation.now < observation.provider.bill_retry_at:
        until = observation.provider.bill_retry_at
        return Wait(until - observation.now, "for the provider's bill", until)
    return None


def _disposal(observation: Observation, policy: Policy) -> str:
    lease_state = observation.lease
    if lease_state.abandon or not any(_left_something(run) for run in lease_state.runs):
        return "terminate"
    if lease_state.unpulled:  # never lose unpulled files
        overdue = any(run.outcome == OVERDUE for run in lease_state.runs)  # but the cost is limited
        return "park" if lease_state.keeps_disk else "terminate" if overdue else "keep"
    if lease_state.stop == "park" and not lease_state.keeps_disk:
        return "terminate"
    if lease_state.stop:
        return lease_state.stop
    wish = policy.on_success if lease_state.passed else policy.on_failure
    if wish != "keep" and _may_be_warm(observation, policy):
        return "warm"
    # Without a volume there is nothing that parking would keep.
    return "terminate" if wish == "park" and not lease_state.keeps_disk else wish


def _may_be_warm(observation: Observation, policy: Policy) -> bool:
    """Whether the pod waits for another run: one that did not pass is likely to be run again."""
    lease_state = observation.lease
    outcomes = {run.outcome for run in lease_state.wanted}
    tried_again = outcomes <= {"passed", *TRIED_AGAIN} and outcomes & {*TRIED_AGAIN}
    asked_in_vain = lease_state.not_warm == lease_state.runs[-1].run
    hindered = lease_state.parked or observation.over_cap or asked_in_vain
    return policy.keep_warm > 0 and bool(tried_again) and not hindered


def _warm(observation: Observation, policy: Policy, pod: str) -> Action:
    """Let the pod wait for another run; end it once nothing came."""
    lease_state = observation.lease
    parks = _parks(observation, policy)
    until = lease_state.warm_until
    if until is None:
        after, then = lease_state.runs[-1].run, "park" if parks else "terminate"
        return KeepWarm(pod, after, policy.keep_warm, then)
    if observation.wall < until:
        return Done("warm")
    if parks:
        return park(observation, policy, pod)
    return Terminate(pod, "no other run used it in time")


def _left_something(run: RunFacts) -> bool:
    """Whether the pod can hold any file of the run."""
    return run.started and run.outcome not in NOTHING_LEFT


def _gone(observation: Observation, policy: Policy, pod_id: str) -> Action | None:
    """Confirm the end of a waiting pod that is no longer listed."""
    if observation.provider.listing is None or observation.pods.missing_since is None:
        return None
    return _missing(observation, policy, pod_id)


def _missing(observation: Observation, policy: Policy, pod_id: str) -> Action:
    """No listing shows the pod, nor its id: that proves its end after a whole settle window.

    Two such answers do when its guard was to have ended it by then.
    """
    since = observation.since(observation.pods.missing_since)
    window = SECOND_LOOK if _ended_by_guard(observation, policy) else policy.settle
    absent = observation.now - since
    if absent >= window:
        return bill_wait(observation) or ConfirmGone(pod_id)
    why = "because the pod is not in the listing"
    pause = policy.poll_boot if absent >= SECOND_LOOK else min(policy.poll_boot, SECOND_LOOK)
    return Wait(pause, why, since + window)


def _ended_by_guard(observation: Observation, policy: Policy) -> bool:
    """Whether the guard of a warm pod has terminated it by now: its absence is no surprise."""
    until = observation.lease.warm_until
    if until is None or _parks(observation, policy):
        return False
    return observation.wall >= until + min(GUARD_SLACK, policy.keep_warm) + GUARD_CALL


def _parks(observation: Observation, policy: Policy) -> bool:
    return policy.on_failure == "park" and observation.lease.keeps_disk


def park(observation: Observation, policy: Policy, pod_id: str) -> Action:
    """Stop the pod, then wait until the provider confirms it."""
    asked = observation.pods.asked.get(pod_id)
    if asked is None:
        return StopPod(pod_id, "parked")
    if observation.provider.listing is None or observation.provider.listing.started <= asked:
        return wait_for_provider(
            observation, policy, "for the provider to confirm that the pod is parked"
        )
    pod = observation.provider.listing.get(pod_id)
    if pod is not None and pod.status is PodStatus.EXITED:
        return ConfirmParked(pod_id)
    if pod is None or pod.status is PodStatus.TERMINATED:
        return _missing(observation, policy, pod_id)
    if pod.status is PodStatus.ERROR and not observation.lease.unpulled:
        return Terminate(pod_id, "it cannot be parked: the provider reports ERROR")
    since = observation.since(observation.pods.parking_since)
    if observation.now - since > policy.lost:
        return NeedsOperator(
            "connection-lost",
            f"Pod {pod_id} does not stop: the provider reports {pod.status}, and it may bill.",
            "podctl stop tries again; you can also stop it in the provider's console",
        )
    if observation.now - asked >= policy.ask_again:
        return StopPod(pod_id, "still running")
    return Wait(policy.poll_boot, "for the pod to stop", since + policy.lost)


def _sweep(observation: Observation, policy: Policy) -> Action:
    """Terminate all pods with a nonce of the lease; wait a settle window if a create is unclear."""
    listing = observation.provider.listing
    if listing is None:
        return wait_for_provider(observation, policy, "for a last clean listing")
    for pod in observation.ours():
        return terminate_orphan(observation, pod.id, "left over")
    unclear = observation.lease.ambiguous or observation.lease.unsettled
    if unclear and (seconds := unclear_for(observation)) < policy.settle:
        why = "for pods of an unclear create, which may still be listed"
        return Wait(policy.poll_boot, why, listing.started + policy.settle - seconds)
    if observation.local.unclosed:  # in the ledger, but gone before the journal had it
        return bill_wait(observation) or ConfirmGone(min(observation.local.unclosed))
    return Close(_outcome(observation))


def _outcome(observation: Observation) -> str:
    """The lease's outcome is that of its first run that did not pass."""
    for run in observation.lease.wanted:
        if run.outcome != "passed":
            return run.outcome or "open"
    return "passed"
