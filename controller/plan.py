"""What to do next: one pure function from what was seen to one action.

No clock, no I/O, no randomness: the same observation always gives the same action, so that a
restart needs no recovery code and a simulator can drive this very function. Read `decide` first;
the functions below it stand in the order in which a run meets them.
"""

from __future__ import annotations

from controller.actions import (
    Action,
    AskRework,
    AskUnguarded,
    ConfirmGone,
    ConfirmParked,
    Disqualify,
    Done,
    Finish,
    Judge,
    Leave,
    Lock,
    MarkReached,
    Pull,
    PullReady,
    Reckon,
    Rework,
    StartJob,
    StartPod,
    StopJob,
    Terminate,
    Upload,
    Wait,
)
from controller.closing import bill_wait, close, reckon
from controller.observed import Observed
from controller.policy import Policy
from controller.providers import Pod, PodStatus
from controller.rental import Debt, RunFacts
from controller.renting import TOO_DEAR, affordable, blind_wait, end_stray, misfit, rent

_BY_HAND = "podctl doctor; pods of ours end themselves by their guard, or in the console"


def decide(seen: Observed, policy: Policy) -> Action:
    """The next action for this lease."""
    rental = seen.rental
    if rental.closed:
        return Done(rental.closed)
    if seen.refused:
        return Leave("refused", seen.refused, _BY_HAND)
    if owed := _pay_debts(seen, policy):
        return owed
    if rental.current is None:
        return close(seen, policy)
    if rental.pod is None:
        return rent(seen, policy)
    return _drive(seen, policy, rental.current)


# -- pods that must go -----------------------------------------------------------------------


def _pay_debts(seen: Observed, policy: Policy) -> Action | None:
    """Given-up pods are asked to go until the provider confirms it; nothing is rented before."""
    if seen.rental.debts:
        return _pay(seen, policy, seen.rental.debts[0])
    if seen.rental.pod is not None:
        for pod in seen.ours():
            if pod.id != seen.rental.pod:
                return end_stray(seen, pod.id, "surplus: a second pod of this lease appeared")
    return None


def _pay(seen: Observed, policy: Policy, debt: Debt) -> Action:
    asked = seen.asked.get(debt.pod)
    listed = seen.listing.get(debt.pod) if seen.listing is not None else None
    if asked is None:  # by this process
        there = listed is not None and debt.ended_at is not None
        return Terminate(debt.pod, "given up before", still_there=there)
    if seen.listing is None or seen.listing.started <= asked:
        return blind_wait(seen, policy, f"for the provider to confirm that {debt.pod} is gone")
    pod = seen.listing.get(debt.pod)
    if pod is not None and pod.status is not PodStatus.TERMINATED:
        if seen.now - asked >= policy.ask_again:
            return Terminate(debt.pod, "still listed", still_there=True)
        return Wait(policy.poll_boot, f"for {debt.pod} to leave the listing")
    # Absence is proof only of a pod that was visible and whose end was acknowledged.
    known = debt.clean and debt.pod in seen.listed
    if known or seen.listing.started - asked >= policy.settle:
        return bill_wait(seen) or _last_word(seen, debt)
    return Wait(policy.poll_boot, f"for a settle window in which {debt.pod} stays away")


def _last_word(seen: Observed, debt: Debt) -> Action:
    """It is gone; what a start without an answer may have cost before is on the bill."""
    if seen.rental.start_unclear is not None:
        return Reckon(debt.pod, seen.rental.start_unclear)
    return ConfirmGone(debt.pod)


# -- driving the pod -------------------------------------------------------------------------


def _drive(seen: Observed, policy: Policy, run: RunFacts) -> Action:
    rental, pod = seen.rental, seen.pod
    if pod is not None and (reckoned := reckon(seen, pod.id)):
        return reckoned
    if pod is not None and not run.started and (wrong := misfit(rental, pod, policy)):
        return _replace(seen, policy, wrong)
    if run.pulled:  # nothing more is needed of the pod for this run
        return _conclude(run)
    if (blocked := run.broken or rental.refused) and not run.started:
        return Finish(run.run, "refused", blocked)
    if run.given_up:
        return Finish(run.run, "pod-lost", run.given_up)
    answers = seen.contact is not None and seen.contact.status is not None
    if rental.abandon and (seen.pull_failures or not answers):
        return Finish(run.run, "abandoned", rental.abandon)
    if seen.contact is not None and seen.contact.reached:
        return _with_agent(seen, policy, run)
    if seen.listing is None:
        return blind_wait(seen, policy, "for the provider")
    if pod is None:
        return _missing(seen, policy, run)
    if rental.stop and not run.started:
        return Finish(run.run, "stopped", "ended by the user")
    if pod.status is PodStatus.EXITED or (pod.status is PodStatus.ERROR and run.started):
        return _exited(seen, policy, run, pod)
    if pod.status is PodStatus.TERMINATED and run.started:
        return _vanished(seen, policy, run, "the provider reports TERMINATED")
    if pod.status in (PodStatus.ERROR, PodStatus.TERMINATED):
        return _replace(seen, policy, f"the provider reports {pod.status}")
    if not pod.ready or pod.endpoint is None:
        return _booting(seen, policy)
    return _silent(seen, policy, run)


def _missing(seen: Observed, policy: Policy, run: RunFacts) -> Action:
    """Not in the listing: weak evidence until a whole settle window agrees."""
    since = seen.missing_since if seen.missing_since is not None else seen.now
    if seen.now - since < policy.settle:
        return Wait(policy.poll_boot, "because the pod is not in the provider's listing")
    if run.started:
        return _vanished(seen, policy, run, "the provider does not show it any more")
    return _replace(seen, policy, "the provider does not show it")


def _vanished(seen: Observed, policy: Policy, run: RunFacts, how: str) -> Action:
    """Not by our order: a person may have ended it in the console, so nothing is rented unasked."""
    why = f"pod {seen.rental.pod} disappeared: {how}"
    if policy.on_vanished == "ask" and _may_rework(seen, policy, run):
        return AskRework(run.run, why)
    return _rework(seen, policy, run, why)


def _rework(seen: Observed, policy: Policy, run: RunFacts, why: str) -> Action:
    """Its disk is gone: the run begins again from what is here, a bounded number of times."""
    if _may_rework(seen, policy, run):
        return Rework(run.run, why)
    return Finish(run.run, "pod-lost", why)


def _may_rework(seen: Observed, policy: Policy, run: RunFacts) -> bool:
    wanted = policy.rents and not seen.rental.stop and not seen.over_cap
    return wanted and run.reworks < policy.reworks


def _exited(seen: Observed, policy: Policy, run: RunFacts, pod: Pod) -> Action:
    rental = seen.rental
    asked = seen.asked.get(pod.id)
    assert seen.listing is not None
    if asked is not None and (seen.listing.started <= asked or seen.now - asked < policy.ask_again):
        return Wait(policy.poll_boot, "for the pod to start again")
    if pod.status is PodStatus.EXITED and not rental.parked:
        return ConfirmParked(pod.id)
    if pod.id in seen.stopped_elsewhere:
        return Leave(
            "artifacts-not-safe",
            f"Pod {pod.id} was stopped, and not by podctl; its disk has what the job wrote.",
            f"podctl run {run.stage} starts it again; podctl stop {run.stage} ends the run",
        )
    may_start = affordable(seen, policy)
    if may_start and rental.pod_starts + seen.start_failures < policy.pod_starts:
        return StartPod(pod.id, seen.wall)
    if not run.started or (rental.shared_disk and may_start):
        return _replace(seen, policy, "it is stopped and does not start again")
    why = "cannot be started" if may_start else f"is not started again: {TOO_DEAR}"
    again = "podctl sync to try again" if may_start else f"podctl run {run.stage} --budget USD"
    return Leave(
        "artifacts-not-safe",
        f"Pod {pod.id} is stopped and {why}; what it holds is only there.",
        f"{again}, or podctl stop --terminate --abandon REASON",
    )


def _booting(seen: Observed, policy: Policy) -> Action:
    since = seen.pod_since if seen.pod_since is not None else seen.now
    if seen.now - since < policy.boot:
        return Wait(policy.poll_boot, "for the pod to boot")
    return _replace(seen, policy, "it did not boot in time")


def _silent(seen: Observed, policy: Policy, run: RunFacts) -> Action:
    """SSH does not answer. That never proves that the pod is dead."""
    contact, rental = seen.contact, seen.rental
    if contact is not None and contact.refused and rental.reached:
        return Leave("connection-lost", contact.error, "podctl status; podctl sync")
    since = seen.silent_since if seen.silent_since is not None else seen.now
    silent = seen.now - since
    if not rental.reached and not run.started and silent > policy.ssh:
        return _replace(seen, policy, "its SSH never answered")
    if silent > policy.lost:
        return Leave(
            "connection-lost",
            f"Pod {rental.pod} has not answered for {silent / 60:.0f} minutes; "
            "the job's state is unknown and the pod bills on.",
            "podctl sync, when the network is back; podctl stop to end it",
        )
    return Wait(policy.poll_boot, "for SSH to answer")


def _replace(seen: Observed, policy: Policy, why: str) -> Action:
    """Another pod, if nothing of value can be on this one."""
    rental = seen.rental
    assert rental.pod is not None
    if (rental.unpulled and not rental.shared_disk) or not policy.rents:
        return Leave(
            "artifacts-not-safe",
            f"Pod {rental.pod}: {why}; what the job wrote may be only there.",
            "podctl sync to try again, or podctl stop --terminate --abandon REASON",
        )
    return Terminate(rental.pod, why)


def _with_agent(seen: Observed, policy: Policy, run: RunFacts) -> Action:
    rental, contact = seen.rental, seen.contact
    assert rental.pod is not None
    assert contact is not None
    if not rental.reached:
        return MarkReached(rental.pod)
    if rental.stop and not run.started:
        return Finish(run.run, "stopped", "ended by the user")
    if contact.forgotten and run.started:
        return _rework(seen, policy, run, "the pod's disk no longer has the run")
    if _unguarded(seen) and not run.started:
        return _await_guard(seen, policy)
    if run.uploaded_to != rental.pod:
        return Upload(run.run)
    if contact.status is None:
        return _mute(seen, policy)
    return _with_job(seen, policy, run)


def _mute(seen: Observed, policy: Policy) -> Action:
    """sshd answers and the agent does not."""
    assert seen.contact is not None
    since = seen.mute_since if seen.mute_since is not None else seen.now
    if seen.now - since < policy.lost:
        return Wait(policy.poll, "for the agent to answer")
    return Leave(
        "connection-lost",
        f"The agent on pod {seen.rental.pod} gives no answer that makes sense: "
        f"{seen.contact.error}",
        "podctl ssh to look at the pod; podctl stop --terminate --abandon REASON",
    )


def _unguarded(seen: Observed) -> bool:
    """Whether nothing would stop the pod if we went away, and the user was not asked yet."""
    guard = seen.contact.guard if seen.contact else None
    asked = seen.rental.unguarded or seen.rental.refused
    return not asked and not (guard and guard.armed)


def _await_guard(seen: Observed, policy: Policy) -> Action:
    since = seen.guard_since if seen.guard_since is not None else seen.now
    if seen.now - since < policy.guard:
        return Wait(min(policy.poll_boot, 1.0), "for the guard to arm")
    guard = seen.contact.guard if seen.contact else None
    return AskUnguarded(guard.detail if guard else "the guard never reported")


def _with_job(seen: Observed, policy: Policy, run: RunFacts) -> Action:
    assert seen.contact is not None
    status = seen.contact.status
    assert status is not None
    if status.state == "absent":
        return StartJob(run.run)
    if status.state == "lost":
        if run.starts <= policy.restarts:
            return StartJob(run.run, again=True)
        return Pull(run.run)
    if status.state == "ended":
        return _ended(seen, policy, run)
    if _unguarded(seen) and seen.unguarded_for > policy.guard:  # it armed, and it died since
        return _await_guard(seen, policy)
    if reason := _must_stop(seen, run):
        return StopJob(run.run, reason)
    if status.ready_sha256 and status.ready_sha256 != seen.ready_pulled:
        return PullReady(run.run)
    return Wait(policy.poll, "for the job")


def _must_stop(seen: Observed, run: RunFacts) -> str | None:
    if run.stopping:
        return None
    if seen.rental.stop:
        return "ended by the user"
    if seen.over_cap:
        return f"budget: ${seen.spent_usd:.2f} of ${seen.cap_usd:.2f} spent"
    return seen.rental.refused


def _ended(seen: Observed, policy: Policy, run: RunFacts) -> Action:
    assert seen.contact is not None
    assert seen.contact.status is not None
    ended = seen.contact.status.exit
    bad_host = ended is not None and ended.reason == "preflight"
    if bad_host and seen.rental.generation < policy.generations and not seen.rental.stop:
        assert ended is not None
        if run.started:
            return Disqualify(run.run, ended.detail)
        if run.unfit_host == seen.rental.pod:
            return _replace(seen, policy, f"preflight: {ended.detail}")
        return StartJob(run.run, again=True)  # an earlier host's word, on a disk that both had
    stalled = ended is not None and ended.reason == "stalled"
    if stalled and run.starts <= policy.stalls and not seen.rental.stop and not run.stopping:
        return StartJob(run.run, again=True)
    if seen.now < seen.pull_retry_at:
        return Wait(seen.pull_retry_at - seen.now, "before pulling again")
    if seen.pull_failures >= policy.pull_tries and seen.rental.stop:
        return Finish(run.run, "unpulled", "what could not be brought here stays on its disk")
    if seen.pull_failures >= policy.pull_tries:
        return Leave(
            "artifacts-not-safe",
            f"Not every artifact of {run.stage} could be brought here and verified; "
            f"pod {seen.rental.pod} is kept.",
            "podctl sync to try again, podctl stop to park it, "
            "or podctl stop --terminate --abandon REASON",
        )
    return Pull(run.run)


def _conclude(run: RunFacts) -> Action:
    if run.stopping:
        return Finish(run.run, "stopped", run.stopping)
    if run.rc != 0:
        return Finish(run.run, "failed", f"the job ended with {run.rc} ({run.reason})")
    if run.verdict is None:
        return Judge(run.run)
    if run.broken:
        return Finish(run.run, "failed", run.broken)
    if run.verdict != "PASS":
        return Finish(run.run, "criteria", run.shortfall or run.verdict)
    return Finish(run.run, "passed") if run.locked else Lock(run.run)
