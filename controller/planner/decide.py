"""What to do next: one pure function from what was seen to one action.

No clock, no I/O, no randomness: the same observation always gives the same action, so that a
restart needs no recovery code and a simulator can drive this very function. Read `decide` first;
the functions below it stand in the order in which a run meets them.
"""

from __future__ import annotations

from controller.planner.actions import (
    Action,
    ConfirmGone,
    ConfirmParked,
    Done,
    Finish,
    NeedsOperator,
    ReconcileBilling,
    RecordRestart,
    StartPod,
    StopPod,
    Terminate,
    Wait,
)
from controller.planner.bounds import given_up, outlasted
from controller.planner.job import conclude, serve
from controller.planner.lease_state import OVERDUE, PendingTermination, RunFacts
from controller.planner.observation import STALE, Observation
from controller.planner.policy import Policy
from controller.planner.provisioning import (
    TOO_DEAR,
    affordable,
    rent,
    spec_mismatch,
    terminate_orphan,
    wait_for_provider,
)
from controller.planner.replacement import replace, vanished
from controller.planner.teardown import bill_wait, close, reckon
from controller.providers.base import Pod, PodStatus

_BY_HAND = "podctl doctor; pods of ours end themselves by their guard, or in the console"


def decide(seen: Observation, policy: Policy) -> Action:
    """The next action for this lease."""
    lease_state = seen.lease_state
    if lease_state.closed:
        return Done(lease_state.closed)
    if lease_state.unreadable:
        return NeedsOperator(
            "artifacts-not-safe",
            f"The journal of lease {lease_state.lease} cannot be followed: {lease_state.unreadable}.",
            "podctl stop --terminate --abandon REASON ends its pods by the provider's listing",
        )
    if refused := seen.refused or seen.order_refused:
        return NeedsOperator("refused", refused, _BY_HAND)
    if owed := _pay_debts(seen, policy):
        return owed
    if lease_state.current is None:
        return close(seen, policy)
    if lease_state.pod is None and not lease_state.current.pulled:
        return rent(seen, policy)
    return _drive(seen, policy, lease_state.current)


def plan_passive(seen: Observation, policy: Policy) -> Action:
    """The same for a look in passing at a pod that waits for the user.

    The books follow what became of it. What only a later bill tells is left to a later look, and
    what would act on a pod that somebody else started is not done in passing.
    """
    action = decide(seen, policy)
    waits_for_bill = isinstance(action, Wait) and seen.now < seen.bill_retry_at
    if waits_for_bill or isinstance(action, RecordRestart | StopPod):
        return Done("kept")
    return action


# -- pods that must go -----------------------------------------------------------------------


def _pay_debts(seen: Observation, policy: Policy) -> Action | None:
    """Given-up pods are asked to go until the provider confirms it; nothing is rented before."""
    if seen.lease_state.debts:
        return _pay(seen, policy, seen.lease_state.debts[0])
    if seen.lease_state.pod is not None:
        for pod in seen.ours():
            if pod.id != seen.lease_state.pod:
                return terminate_orphan(
                    seen, pod.id, "surplus: a second pod of this lease appeared"
                )
    return None


def _pay(seen: Observation, policy: Policy, debt: PendingTermination) -> Action:
    asked = seen.asked.get(debt.pod)
    listed = seen.listing.get(debt.pod) if seen.listing is not None else None
    if asked is None:  # by this process
        there = listed is not None and debt.ended_at is not None
        return Terminate(debt.pod, "given up before", still_there=there)
    if seen.listing is None or seen.listing.started <= asked:
        return wait_for_provider(
            seen, policy, f"for the provider to confirm that {debt.pod} is gone"
        )
    pod = seen.listing.get(debt.pod)
    if pod is not None and pod.status is not PodStatus.TERMINATED:
        if overdue := _overdue(seen, policy, debt.pod):
            return overdue
        if seen.now - asked >= policy.ask_again:
            return Terminate(debt.pod, "still listed", still_there=True)
        until = (seen.now if seen.owing_since is None else seen.owing_since) + policy.lost
        return Wait(policy.poll_boot, f"for {debt.pod} to leave the listing", until)
    # Absence is proof only of a pod that was visible and whose end was acknowledged.
    known = debt.clean and debt.pod in seen.listed
    if known or seen.listing.started - asked >= policy.settle:
        return bill_wait(seen) or _last_word(seen, debt)
    why = f"for a settle window in which {debt.pod} stays away"
    return Wait(policy.poll_boot, why, asked + policy.settle)


def _overdue(seen: Observation, policy: Policy, pod: str) -> Action | None:
    """A pod that does not go although it was told to, again and again, is a person's affair."""
    since = seen.owing_since if seen.owing_since is not None else seen.now
    if seen.now - since <= policy.lost:
        return None
    return NeedsOperator(
        "connection-lost",
        f"Pod {pod} is still listed {(seen.now - since) / 60:.0f} minutes after it was told to go, "
        "and may bill.",
        "podctl sync tells it again; the provider's console ends it by hand",
    )


def _last_word(seen: Observation, debt: PendingTermination) -> Action:
    """It is gone; what a start without an answer may have cost before is on the bill."""
    if seen.lease_state.start_unclear is not None:
        return ReconcileBilling(debt.pod, seen.lease_state.start_unclear)
    return ConfirmGone(debt.pod)


# -- driving the pod -------------------------------------------------------------------------


def _drive(seen: Observation, policy: Policy, run: RunFacts) -> Action:
    lease_state, pod = seen.lease_state, seen.pod
    if pod is not None and (reckoned := reckon(seen, pod.id)):
        return reckoned
    if pod is not None and not run.started and (wrong := spec_mismatch(lease_state, pod, policy)):
        return replace(seen, policy, wrong)
    if run.pulled:  # nothing more is needed of the pod for this run
        return conclude(run, lease_state.abandon)
    if run.disk_full and not run.started and lease_state.used_before:
        return replace(seen, policy, f"with what an earlier run left there, {run.broken}")
    if run.broken and not run.started:
        return Finish(run.run, "not-sent", run.broken)
    if lease_state.refused and not run.started:
        return Finish(run.run, "refused", lease_state.refused)
    if run.given_up:
        return Finish(run.run, "pod-lost", run.given_up)
    answers = seen.contact is not None and seen.contact.status is not None
    in_vain = seen.pull_failures or not answers or "stop" in seen.failures or seen.incidents
    if lease_state.abandon and (in_vain or given_up(seen, policy)):
        return Finish(run.run, "abandoned", lease_state.abandon)
    if not run.started and any(one.outcome == OVERDUE for one in lease_state.runs):
        return Finish(run.run, "not-begun", "the pod went on with another run beyond every grace")
    if late := outlasted(seen, policy, run):
        return late
    if seen.contact is not None and seen.contact.reached:
        return serve(seen, policy, run)
    if seen.listing is None:
        return wait_for_provider(seen, policy, "for the provider")
    if pod is None:
        return _missing(seen, policy, run)
    if lease_state.stop and not run.started:
        return Finish(run.run, "stopped", "ended by the user")
    if ended := _unbootable(seen, policy, run):
        return ended
    if pod.status is PodStatus.EXITED or (pod.status is PodStatus.ERROR and run.started):
        return _exited(seen, policy, run, pod)
    if pod.status is PodStatus.TERMINATED and run.started:
        return vanished(seen, policy, run, "the provider reports TERMINATED")
    if pod.status in (PodStatus.ERROR, PodStatus.TERMINATED):
        return replace(seen, policy, f"the provider reports {pod.status}")
    if not pod.ready or pod.endpoint is None:
        return _booting(seen, policy, run)
    return _silent(seen, policy, run)


def _missing(seen: Observation, policy: Policy, run: RunFacts) -> Action:
    """Not in the listing: weak evidence until a whole settle window agrees."""
    since = seen.missing_since if seen.missing_since is not None else seen.now
    if seen.now - since < policy.settle:
        why = "because the pod is not in the provider's listing"
        return Wait(policy.poll_boot, why, since + policy.settle)
    if run.started:
        return vanished(seen, policy, run, "the provider does not show it any more")
    return replace(seen, policy, "the provider does not show it")


def _exited(seen: Observation, policy: Policy, run: RunFacts, pod: Pod) -> Action:
    lease_state = seen.lease_state
    asked = seen.asked.get(pod.id)
    assert seen.listing is not None
    if asked is not None and (seen.listing.started <= asked or seen.now - asked < policy.ask_again):
        return Wait(policy.poll_boot, "for the pod to start again")
    if (
        not lease_state.parked
    ):  # its bill says what an ERROR is: one that bills on is no stopped pod
        return bill_wait(seen) or ConfirmParked(pod.id)
    if pod.id in seen.stopped_elsewhere:
        return NeedsOperator(
            "artifacts-not-safe",
            f"Pod {pod.id} was stopped, and not by podctl; its disk has what the job wrote.",
            f"podctl run {run.stage} starts it again; podctl stop {run.stage} ends the run",
        )
    may_start = affordable(seen, policy)
    if (
        may_start
        and lease_state.pod_starts + seen.start_failures.get(pod.id, 0) < policy.pod_starts
    ):
        return StartPod(pod.id, seen.wall, seen.now - seen.listing.started > STALE)
    if run.fetching:  # it goes on waiting for the user
        why = "it does not start" if may_start else TOO_DEAR
        return Finish(run.run, "unpulled", f"its pod is stopped: {why}")
    if not run.started or (lease_state.shared_disk and may_start):
        return replace(seen, policy, "it is stopped and does not start again")
    why = "cannot be started" if may_start else f"is not started again: {TOO_DEAR}"
    again = "podctl sync to try again" if may_start else f"podctl run {run.stage} --budget USD"
    return NeedsOperator(
        "artifacts-not-safe",
        f"Pod {pod.id} is stopped and {why}; what it holds is only there.",
        f"{again}, or podctl stop --terminate --abandon REASON",
    )


def _unbootable(seen: Observation, policy: Policy, run: RunFacts) -> Action | None:
    """Its host says that the container cannot start: nothing comes of waiting any longer."""
    fault = seen.boot_fault
    if fault is None or run.started or seen.lease_state.reached:
        return None
    if fault.image:
        return Finish(run.run, "bad-image", f"the host cannot start the image: {fault.line}")
    return replace(seen, policy, f"its host cannot start the container: {fault.line}")


def _booting(seen: Observation, policy: Policy, run: RunFacts) -> Action:
    waited = _boot_seconds(seen, run)
    if waited < policy.boot:
        return Wait(policy.poll_boot, "for the pod to boot", seen.now + policy.boot - waited)
    if run.started:  # a job may be on it, and go on: that it does not show is no death
        return NeedsOperator(
            "connection-lost",
            f"Pod {seen.lease_state.pod} is not ready, for {waited / 60:.0f} minutes, and bills on; "
            "the job's state is unknown.",
            "podctl sync looks again; podctl stop ends it",
        )
    up = seen.pod is not None and seen.pod.status is PodStatus.RUNNING
    why = "it runs, and no public port for SSH was mapped" if up else "it did not boot in time"
    return replace(seen, policy, why)


def _boot_seconds(seen: Observation, run: RunFacts) -> float:
    """How long the pod boots: of one that was never reached, the whole way to SSH."""
    since = [at for at in (seen.booting_since,) if at is not None]
    if not run.started and not seen.lease_state.reached and seen.pod_since is not None:
        since.append(seen.pod_since)
    return seen.now - min(since, default=seen.now)


def _silent(seen: Observation, policy: Policy, run: RunFacts) -> Action:
    """SSH does not answer. That never proves that the pod is dead."""
    contact, lease_state = seen.contact, seen.lease_state
    if contact is not None and contact.refused and lease_state.reached:
        return NeedsOperator("connection-lost", contact.error, "podctl status; podctl sync")
    since = seen.silent_since if seen.silent_since is not None else seen.now
    silent = seen.now - since
    if not lease_state.reached and not run.started:
        return _never_answered(seen, policy, run, silent)
    if silent > policy.lost:
        return NeedsOperator(
            "connection-lost",
            f"Pod {lease_state.pod} has not answered for {silent / 60:.0f} minutes; "
            "the job's state is unknown and the pod bills on.",
            "podctl sync, when the network is back; podctl stop to end it",
        )
    return Wait(policy.poll_boot, "for SSH to answer", since + policy.lost)


def _never_answered(seen: Observation, policy: Policy, run: RunFacts, silent: float) -> Action:
    """The port is mapped and sshd did not answer yet: a bad host, or an image without an sshd."""
    contact = seen.contact
    reason = contact.no_sshd if contact is not None else ""
    hopeless = contact is not None and contact.no_sshd_ever and silent > policy.no_sshd
    left = min(policy.ssh - silent, policy.boot - _boot_seconds(seen, run))
    if silent <= policy.ssh and _boot_seconds(seen, run) < policy.boot and not hopeless:
        return Wait(policy.poll_boot, "for SSH to answer", seen.now + left)
    if reason:
        return Finish(run.run, "no-sshd", reason)
    why = f": {contact.error}" if contact is not None and contact.error else ""
    return replace(seen, policy, f"its SSH never answered{why}")
