"""Starts a parked pod for work by hand: no job runs on it meanwhile. Pure."""

from __future__ import annotations

from controller.planner.actions import Action, ConfirmParked, Done, NeedsOperator, StartPod, Wait
from controller.planner.decide import decide
from controller.planner.observation import STALE, Observation
from controller.planner.policy import Policy
from controller.planner.provisioning import wait_for_provider
from controller.planner.teardown import bill_wait, ledger_correction
from controller.providers.base import Pod, PodStatus

UP = "up"  # the pod runs, and its SSH port is known


def plan_visit(observation: Observation, policy: Policy) -> Action:
    """The next action until the pod can be connected to; afterwards Done(UP)."""
    lease_state, pod = observation.lease, observation.pod
    if not lease_state.visiting or lease_state.pod is None or lease_state.pending_terminations:
        return decide(observation, policy)
    if observation.provider.refused or observation.pods.order_refused:
        return decide(observation, policy)
    if observation.provider.listing is None:
        return wait_for_provider(observation, policy, "for the provider")
    if pod is None or pod.status is PodStatus.TERMINATED:
        return decide(observation, policy)  # it confirms that the pod is gone
    if correction := ledger_correction(observation, pod.id):
        return correction
    if pod.status in (PodStatus.EXITED, PodStatus.ERROR):
        return _stopped(observation, policy, pod)
    if pod.ready and pod.endpoint is not None:
        return Done(UP)
    waited = observation.now - observation.since(observation.pods.booting_since)
    if waited < policy.boot:
        until = observation.now + policy.boot - waited
        return Wait(policy.poll_ready, "for the pod to boot", until)
    return _not_up(pod, f"it has not booted within {policy.boot / 60:.0f} min")


def _stopped(observation: Observation, policy: Policy, pod: Pod) -> Action:
    asked, listing = observation.pods.asked.get(pod.id), observation.provider.listing
    assert listing is not None
    failures = observation.pods.start_failures.get(pod.id, 0)
    late = asked is not None and listing.started <= asked
    if late or (asked is not None and observation.now - asked < policy.ask_again and not failures):
        return Wait(policy.poll_boot, "for the pod to start")
    if not observation.lease.parked:
        return bill_wait(observation) or ConfirmParked(pod.id)
    if observation.lease.pod_starts or failures >= policy.pod_starts:
        return _not_up(pod, "its host has no capacity for it, or stops it again")
    stale = observation.now - listing.started > STALE
    return StartPod(pod.id, observation.wall, stale)


def _not_up(pod: Pod, why: str) -> Action:
    return NeedsOperator(
        "no-capacity",
        f"Pod {pod.id} cannot be used: {why}.",
        "try again later; podctl run rents another pod",
    )
