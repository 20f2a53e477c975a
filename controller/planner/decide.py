"""The next action: one pure function of an observation and the policy.

No clock, no I/O, no randomness: the same observation always gives the same action, so that a
restart needs no recovery code and a simulator can drive this very function. Read `decide` first;
the functions below it follow the course of a run.
"""

from __future__ import annotations

from controller.planner.actions import (
    Action,
    ConfirmParked,
    Done,
    Finish,
    NeedsOperator,
    RecordRestart,
    StartPod,
    StopPod,
    Wait,
)
from controller.planner.bounds import given_up, outlasted
from controller.planner.job import conclude, serve
from controller.planner.lease_state import OVERDUE, RunFacts
from controller.planner.observation import STALE, Observation
from controller.planner.pending_termination import end_pending
from controller.planner.policy import Policy
from controller.planner.provisioning import (
    TOO_DEAR,
    affordable,
    rent,
    spec_mismatch,
    wait_for_provider,
)
from controller.planner.replacement import replace, vanished
from controller.planner.teardown import (
    SECOND_LOOK,
    bill_wait,
    close,
    give_up_verified,
    ledger_correction,
)
from controller.providers.base import Pod, PodStatus

UNLISTED = "unlisted"  # the waiting pod is in no listing, which does not prove its end yet
_BY_HAND = "podctl doctor; guards stop running pods, and the provider's console can end them"


def decide(observation: Observation, policy: Policy) -> Action:
    """The next action for this lease."""
    lease_state = observation.lease
    if lease_state.closed:
        return Done(lease_state.closed)
    if lease_state.unreadable:
        return NeedsOperator(
            "artifacts-not-safe",
            f"The journal of lease {lease_state.lease} cannot be read: {lease_state.unreadable}.",
            "podctl stop --terminate --abandon REASON ends its pods by the provider's listing",
        )
    if refused := observation.provider.refused or observation.pods.order_refused:
        return NeedsOperator("refused", refused, _BY_HAND)
    if (local := _local_rest(observation)) or (local := end_pending(observation, policy)):
        return local
    if lease_state.current is None:
        return close(observation, policy)
    if lease_state.pod is None and not lease_state.current.pulled:
        return rent(observation, policy)
    return _drive(observation, policy, lease_state.current)


def plan_passive(observation: Observation, policy: Policy) -> Action:
    """The next action for a pod that waits for the user, when another command passes by.

    The ledger follows what happened to the pod. What needs a later bill is left to a later command,
    and a pod that somebody else started is not touched.
    """
    action = decide(observation, policy)
    waits_for_bill = (
        isinstance(action, Wait) and observation.now < observation.provider.bill_retry_at
    )
    if waits_for_bill or isinstance(action, RecordRestart | StopPod):
        return Done("kept")
    return action


def plan_before_run(observation: Observation, policy: Policy) -> Action:
    """As `plan_passive`, for a run that is about to begin: it waits for no pod that is not listed.

    Such a pod may be hidden, so its lease stays open; the run rents another one meanwhile.
    """
    action = plan_passive(observation, policy)
    missing_since = observation.pods.missing_since
    if isinstance(action, Wait) and missing_since is not None:
        absent = observation.now - missing_since
        return Done(UNLISTED) if absent >= SECOND_LOOK else action
    return action


def _local_rest(observation: Observation) -> Action | None:
    """What is left of a pulled run whose pod this process told to go: it needs local files only."""
    lease_state, run = observation.lease, observation.lease.current
    told = all(pod.pod in observation.pods.asked for pod in lease_state.pending_terminations)
    if run is None or not run.pulled or lease_state.pod is not None or not told:
        return None
    return conclude(observation, run) if lease_state.pending_terminations else None


# -- driving the pod -------------------------------------------------------------------------


def _drive(observation: Observation, policy: Policy, run: RunFacts) -> Action:
    lease_state, pod = observation.lease, observation.pod
    if pod is not None and (correction := ledger_correction(observation, pod.id)):
        return correction
    if pod is not None and not run.started and (wrong := spec_mismatch(lease_state, pod, policy)):
        return replace(observation, policy, wrong)
    if run.pulled:  # nothing more is needed of the pod for this run
        last = conclude(observation, run)
        return give_up_verified(observation, policy, last) or last
    if run.disk_full and not run.started and lease_state.used_before:
        return replace(observation, policy, f"with what an earlier run left there, {run.broken}")
    if run.broken and not run.started:
        return Finish(run.run, "not-sent", run.broken)
    if lease_state.refused and not run.started:
        return Finish(run.run, "refused", lease_state.refused)
    if run.given_up:
        return Finish(run.run, "pod-lost", run.given_up)
    answers = observation.job.contact is not None and observation.job.contact.status is not None
    in_vain = (
        observation.job.pull_failures
        or not answers
        or "stop" in observation.job.failures
        or observation.incidents
    )
    if lease_state.abandon and (in_vain or given_up(observation, policy)):
        return Finish(run.run, "abandoned", lease_state.abandon)
    if not run.started and any(other.outcome == OVERDUE for other in lease_state.runs):
        return Finish(
            run.run, "not-begun", "the pod continued another run beyond every grace period"
        )
    if late := outlasted(observation, policy, run):
        return late
    if observation.job.contact is not None and observation.job.contact.reached:
        return serve(observation, policy, run)
    if observation.provider.listing is None:
        return wait_for_provider(observation, policy, "for the provider")
    if pod is None:
        return _missing(observation, policy, run)
    if lease_state.stop and not run.started:
        return Finish(run.run, "stopped", "stopped by the user")
    if ended := _unbootable(observation, policy, run):
        return ended
    if pod.status is PodStatus.EXITED or (pod.status is PodStatus.ERROR and run.started):
        return _exited(observation, policy, run, pod)
    if pod.status is PodStatus.TERMINATED and run.started:
        return vanished(observation, policy, run, "the provider reports TERMINATED")
    if pod.status in (PodStatus.ERROR, PodStatus.TERMINATED):
        return replace(observation, policy, f"the provider reports {pod.status}")
    if not pod.ready or pod.endpoint is None:
        return _booting(observation, policy, run)
    return _silent(observation, policy, run)


def _missing(observation: Observation, policy: Policy, run: RunFacts) -> Action:
    """No listing shows the pod; that is evidence only after a whole settle window."""
    since = observation.since(observation.pods.missing_since)
    if observation.now - since < policy.settle:
        why = "because the pod is not in the listing"
        return Wait(policy.poll_boot, why, since + policy.settle)
    if run.started:
        return vanished(observation, policy, run, "the provider no longer lists it")
    return replace(observation, policy, "the provider does not list it")


def _exited(observation: Observation, policy: Policy, run: RunFacts, pod: Pod) -> Action:
    lease_state = observation.lease
    asked = observation.pods.asked.get(pod.id)
    assert observation.provider.listing is not None
    if asked is not None and (
        observation.provider.listing.started <= asked or observation.now - asked < policy.ask_again
    ):
        return Wait(policy.poll_boot, "for the pod to start again")
    if not lease_state.parked:  # in case of ERROR its bill shows whether it stopped
        return bill_wait(observation) or ConfirmParked(pod.id)
    if locked := _locked_meanwhile(observation):
        return Finish(run.run, "unpulled" if run.started else "not-begun", locked)
    if pod.id in observation.pods.stopped_elsewhere:
        return NeedsOperator(
            "artifacts-not-safe",
            f"Pod {pod.id} was stopped, but not by podctl; the job's files are on its disk.",
            f"podctl run {run.stage} starts it again; podctl stop {run.stage} ends the run",
        )
    may_start = affordable(observation, policy)
    if (
        may_start
        and lease_state.pod_starts + observation.pods.start_failures.get(pod.id, 0)
        < policy.pod_starts
    ):
        return StartPod(
            pod.id, observation.wall, observation.now - observation.provider.listing.started > STALE
        )
    if run.fetching:  # it keeps waiting for the user
        why = "it does not start" if may_start else TOO_DEAR
        return Finish(run.run, "unpulled", f"its pod is stopped: {why}")
    if not run.started or (lease_state.shared_disk and may_start):
        return replace(observation, policy, "it is stopped and cannot be started")
    why = "cannot be started" if may_start else f"is not started again: {TOO_DEAR}"
    again = "podctl sync to try again" if may_start else f"podctl run {run.stage} --budget USD"
    return NeedsOperator(
        "artifacts-not-safe",
        f"Pod {pod.id} is stopped and {why}; its files exist nowhere else.",
        f"{again}, or podctl stop --terminate --abandon REASON",
    )


def _locked_meanwhile(observation: Observation) -> str | None:
    """Why the pod stays stopped: at its start it resumes a job whose stage is locked by now."""
    lease_state = observation.lease
    runs = (run for run in lease_state.runs if run.run in lease_state.unpulled)
    whys = (observation.locked_by_other(run) for run in runs)
    return next((f"its pod is stopped, and {why}" for why in whys if why), None)


def _unbootable(observation: Observation, policy: Policy, run: RunFacts) -> Action | None:
    """The host reports that the container cannot start, so waiting longer is useless."""
    fault = observation.pods.boot_fault
    if fault is None or run.started or observation.lease.reached:
        return None
    if fault.image:
        return Finish(run.run, "bad-image", f"the host cannot start the image: {fault.line}")
    return replace(observation, policy, f"its host cannot start the container: {fault.line}")


def _booting(observation: Observation, policy: Policy, run: RunFacts) -> Action:
    waited = _boot_seconds(observation, run)
    up = observation.pod is not None and observation.pod.status is PodStatus.RUNNING
    if waited < policy.boot:
        pause = _boot_pause(policy.poll_ready if up else policy.poll_boot, waited)
        return Wait(pause, "for the pod to boot", observation.now + policy.boot - waited)
    if run.started:  # a job may still run on it
        return NeedsOperator(
            "connection-lost",
            f"Pod {observation.lease.pod} has not been ready for {waited / 60:.0f} minutes and "
            "still bills; the job's state is unknown.",
            "podctl sync checks again; podctl stop ends it",
        )
    why = "it runs without a public port for SSH" if up else "it did not boot in time"
    return replace(observation, policy, why)


def _boot_pause(longest: float, waited: float) -> float:
    """Seconds until the next look: a tenth of the boot so far, so that a quick one is seen soon."""
    return min(longest, max(longest / 3, waited / 10))


def _boot_seconds(observation: Observation, run: RunFacts) -> float:
    """Seconds since the boot started; for a pod never reached, until SSH answers."""
    since = [at for at in (observation.pods.booting_since,) if at is not None]
    if not run.started and not observation.lease.reached and observation.pods.pod_since is not None:
        since.append(observation.pods.pod_since)
    return observation.now - min(since, default=observation.now)


def _silent(observation: Observation, policy: Policy, run: RunFacts) -> Action:
    """SSH does not answer, which never proves that the pod is dead."""
    contact, lease_state = observation.job.contact, observation.lease
    if contact is not None and contact.refused and lease_state.reached:
        return NeedsOperator("connection-lost", contact.error, "podctl status; podctl sync")
    since = observation.since(observation.pods.silent_since)
    silent = observation.now - since
    if not lease_state.reached and not run.started:
        return _never_answered(observation, policy, run, silent)
    if silent > policy.lost:
        return NeedsOperator(
            "connection-lost",
            f"Pod {lease_state.pod} has not answered for {silent / 60:.0f} minutes; "
            "the job's state is unknown and the pod still bills.",
            "podctl sync when the network works again; podctl stop ends it",
        )
    return Wait(policy.poll_boot, "for SSH to answer", since + policy.lost)


def _never_answered(
    observation: Observation, policy: Policy, run: RunFacts, silent: float
) -> Action:
    """sshd has not answered on its port: a bad host, or an image without an sshd."""
    contact = observation.job.contact
    reason = contact.no_sshd if contact is not None else ""
    hopeless = contact is not None and contact.no_sshd_ever and silent > policy.no_sshd
    left = min(policy.ssh - silent, policy.boot - _boot_seconds(observation, run))
    if silent <= policy.ssh and _boot_seconds(observation, run) < policy.boot and not hopeless:
        return Wait(policy.poll_ready, "for SSH to answer", observation.now + left)
    if reason:
        return Finish(run.run, "no-sshd", reason)
    why = f": {contact.error}" if contact is not None and contact.error else ""
    return replace(observation, policy, f"its SSH never answered{why}")
