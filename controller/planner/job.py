"""Actions on a pod that answers, from the upload to the run's outcome. Pure; part of `decide`."""

from __future__ import annotations

from controller.planner.actions import (
    Action,
    AskUnguarded,
    Finish,
    Judge,
    Lock,
    MarkReached,
    NeedsOperator,
    Pull,
    PullReady,
    RejectHost,
    StartJob,
    Upload,
    Wait,
)
from controller.planner.bounds import OVER_BUDGET, OVER_TIME, asked, due, stop_job
from controller.planner.lease_state import SUPERSEDED, RunFacts
from controller.planner.observation import Observation
from controller.planner.policy import DRILL, Policy
from controller.planner.replacement import replace, restart
from controller.planner.unpulled_files import UnpulledFiles

OVER_HOURS = "budget"  # the supervisor's reason for a job that used up its hours


def serve(observation: Observation, policy: Policy, run: RunFacts) -> Action:
    lease_state, contact = observation.lease, observation.job.contact
    assert lease_state.pod is not None
    assert contact is not None
    if not lease_state.reached:
        return MarkReached(lease_state.pod)
    if lease_state.stop and not run.started:
        return Finish(run.run, "stopped", "stopped by the user")
    if contact.forgotten and run.started:
        return restart(observation, policy, run, "the pod's disk no longer has the run")
    if _unguarded(observation, policy) and not run.started:
        return _await_guard(observation, policy)
    if run.uploaded_to != lease_state.pod:
        upload = Upload(run.run)
        return _not_started(observation, policy, run) or _with_backoff(
            observation, policy, upload, "upload"
        )
    if contact.status is None:
        return _agent_unresponsive(observation, policy)
    return _with_job(observation, policy, run)


def _agent_unresponsive(observation: Observation, policy: Policy) -> Action:
    """sshd answers and the agent does not."""
    assert observation.job.contact is not None
    since = observation.since(observation.job.mute_since)
    if observation.now - since < policy.lost:
        return Wait(policy.poll, "for the agent to answer", since + policy.lost)
    return NeedsOperator(
        "connection-lost",
        f"The agent on pod {observation.lease.pod} sends no valid response: "
        f"{observation.job.contact.error}",
        "podctl ssh to look at the pod; podctl stop --terminate --abandon REASON",
    )


def _unguarded(observation: Observation, policy: Policy) -> bool:
    """Whether no guard would stop the pod without podctl, and the user was not asked yet."""
    guard = observation.job.contact.guard if observation.job.contact else None
    asked = observation.lease.unguarded or observation.lease.refused
    return not asked and not policy.trusts(guard)


def _await_guard(observation: Observation, policy: Policy) -> Action:
    guard = observation.job.contact.guard if observation.job.contact else None
    denied = guard is not None and guard.denied
    since = observation.since(observation.job.guard_since)
    patience = policy.denied if denied else policy.guard
    if observation.now - since < patience:
        return Wait(min(policy.poll_boot, 1.0), "for the guard to arm", since + patience)
    why = guard.detail if guard else "the guard never reported"
    if denied:
        why += f", and it is not known whether its key may stop it: {DRILL} tests that"
    return AskUnguarded(why)


def _with_job(observation: Observation, policy: Policy, run: RunFacts) -> Action:
    assert observation.job.contact is not None
    status = observation.job.contact.status
    assert status is not None
    if status.state == "absent":
        if run.started and run.starts > policy.restarts:  # several starts had no effect
            return _bring(observation, policy, run)
        start = StartJob(run.run, at=observation.wall)
        return _not_started(observation, policy, run) or _with_backoff(
            observation, policy, start, "start"
        )
    if status.state == "lost":
        ends = run.stopping or _must_stop(observation, policy, run)
        again = run.starts <= policy.restarts and not ends
        start = StartJob(run.run, again=True, at=observation.wall)
        return (
            _with_backoff(observation, policy, start, "start")
            if again
            else _bring(observation, policy, run)
        )
    if status.state == "ended":
        return _ended(observation, policy, run)
    if reason := _must_stop(observation, policy, run):
        return _with_backoff(observation, policy, stop_job(observation, run, reason), "stop")
    if (
        _unguarded(observation, policy) and observation.unguarded_for > policy.guard
    ):  # it armed, and died since
        return _await_guard(observation, policy)
    if status.ready_sha256 and status.ready_sha256 != observation.local.ready_pulled:
        return PullReady(run.run)
    return Wait(policy.poll, "for the job", _time_up(observation), for_job=True)


def _time_up(observation: Observation) -> float | None:
    """When the job reaches its time limit."""
    return (
        None
        if observation.job.max_seconds is None
        else observation.now + observation.job.max_seconds - observation.worked_seconds
    )


def _must_stop(observation: Observation, policy: Policy, run: RunFacts) -> str | None:
    """Why a stop is to be sent now; None when it was sent since the pod's last start."""
    if run.stopping:
        return None if asked(observation, run) else run.stopping
    return due(observation, policy)


def _ended(observation: Observation, policy: Policy, run: RunFacts) -> Action:
    assert observation.job.contact is not None
    assert observation.job.contact.status is not None
    ended = observation.job.contact.status.exit
    ending = observation.lease.ending or observation.locked_by_other(run) is not None
    bad_host = ended is not None and ended.reason == "preflight"
    if bad_host and observation.lease.pods_tried < policy.generations and not ending:
        assert ended is not None
        if run.started:
            return RejectHost(run.run, ended.detail)
        if run.unfit_host == observation.lease.pod:
            return replace(observation, policy, f"preflight: {ended.detail}")
        return StartJob(
            run.run, again=True, at=observation.wall
        )  # reported by an earlier host with the same disk
    stalled = ended is not None and ended.reason == "stalled"
    if stalled and run.starts <= policy.stalls and not ending and not run.stopping:
        assert ended is not None
        return StartJob(run.run, again=True, at=observation.wall, why=f"it stalled: {ended.detail}")
    return _bring(observation, policy, run)


def _bring(observation: Observation, policy: Policy, run: RunFacts) -> Action:
    if observation.now < (until := observation.job.retry_at):
        return Wait(until - observation.now, "before pulling again", until)
    unpulled = observation.job.unpulled
    in_vain = unpulled is not None or observation.job.pull_failures >= policy.pull_tries
    if in_vain and observation.lease.ending:
        stays = "files that were not pulled stay on its disk"
        return Finish(run.run, "unpulled", f"{unpulled.what}; {stays}" if unpulled else stays)
    if unpulled is not None:
        return _leave_unpulled(observation, unpulled, run)
    if in_vain:
        return NeedsOperator(
            "artifacts-not-safe",
            f"Not every artifact of {run.stage} could be pulled and verified; "
            f"pod {observation.lease.pod} is kept.",
            "podctl sync to try again, podctl stop to park it, "
            "or podctl stop --terminate --abandon REASON",
        )
    return Pull(run.run)


def _leave_unpulled(observation: Observation, unpulled: UnpulledFiles, run: RunFacts) -> Action:
    """Files that podctl does not pull must be fetched or given up by the operator."""
    rate, pod = observation.lease.quoted_usd_per_hour, observation.lease.pod
    guard = observation.job.contact.guard if observation.job.contact else None
    until = ""
    if guard and guard.armed and guard.phase == "done" and guard.stops_in_seconds is not None:
        loses = "" if observation.lease.keeps_disk else ", and no volume keeps its files"
        until = f" Its guard stops it in {guard.stops_in_seconds / 3600:.1f} h{loses}."
    then, end = "then podctl sync; or", "REASON"
    if unpulled.by_word:
        then, end = "then", "'fetched by hand'"
    return NeedsOperator(
        "artifacts-not-safe",
        f"{run.stage}: {unpulled.what}. All other files were pulled. Pod {pod} is kept, at "
        f"${rate:.2f} an hour (${24 * rate:.2f} a day).{until}",
        f"{unpulled.fetch}, {then} podctl stop {run.stage} --terminate --abandon {end}",
    )


def _not_started(observation: Observation, policy: Policy, run: RunFacts) -> Action | None:
    """The end of a run that should not continue and whose job wrote nothing on this pod."""
    why = observation.lease.abandon or _must_stop(observation, policy, run)
    return Finish(run.run, "not-begun", why) if why else None


def _with_backoff(observation: Observation, policy: Policy, action: Action, what: str) -> Action:
    """`action` after a pause; NeedsOperator when it failed too often in a row."""
    if observation.now < (until := observation.job.retry_at):
        return Wait(until - observation.now, f"before the next {what}", until)
    failed = observation.job.failures.get(what)
    if failed is None or failed.times < policy.tries:
        return action
    return NeedsOperator(
        "failed",
        f"The {what} failed {failed.times} times on pod {observation.lease.pod}, "
        f"which still bills: {failed.why}",
        "fix that and run podctl sync; podctl stop --terminate --abandon REASON gives it up",
    )


def conclude(observation: Observation, run: RunFacts) -> Action:
    """The next action for a pulled run.

    One that was abandoned, or whose stage another run has locked, is neither judged nor locked.
    """
    abandon = observation.lease.abandon
    if run.locked:
        return Finish(run.run, "passed")
    if run.stopping:
        up = run.stopping.startswith((OVER_BUDGET, OVER_TIME))
        outcome = "time-up" if up else "stopped"
        return Finish(run.run, outcome, run.stopping)
    if run.reason.startswith(OVER_HOURS):
        return Finish(run.run, "time-up", f"max_hours was used up ({run.reason})")
    if run.rc != 0:
        return Finish(run.run, "failed", f"the job ended with {run.rc} ({run.reason})")
    if abandon:
        return Finish(run.run, "abandoned", abandon)
    if locked := observation.locked_by_other(run):
        return Finish(run.run, SUPERSEDED, locked)
    if run.verdict is None:
        return Judge(run.run)
    if run.broken:
        return Finish(run.run, "failed", run.broken)
    if run.verdict != "PASS":
        return Finish(run.run, "criteria", run.shortfall or run.verdict)
    return Lock(run.run)
