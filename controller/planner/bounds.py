"""Limits on the cost of a run, by podctl's own clock and the provider. Pure; part of `decide`.

A pod may report a running job and an armed guard without end. So once the job has to end (by the
user, the cap or its max_hours) it gets a grace period; then ready files are pulled, and the pod is
stopped or terminated through the provider, whatever it reports.
"""

from __future__ import annotations

from controller.planner.actions import Action, Finish, PullReady, StopJob
from controller.planner.job_progress import span
from controller.planner.lease_state import OVERDUE, RunFacts
from controller.planner.observation import Observation
from controller.planner.policy import Policy

# How the reasons start for which podctl itself stops a job.
OVER_BUDGET, OVER_TIME = "budget:", "its max_hours are over"


def due(observation: Observation, policy: Policy) -> str | None:
    """Why the present run's job has to end now; None when it may continue."""
    if observation.lease.stop:
        return "stopped by the user"
    if observation.lease.ending:
        return "only its files are wanted"
    current = observation.lease.current
    if current is not None and (locked := observation.locked_by_other(current)):
        return locked
    if observation.over_cap:
        spent, cap = observation.local.spent_usd, observation.local.cap_usd
        return f"{OVER_BUDGET} ${spent:.2f} of ${cap:.2f} spent"
    if (
        observation.job.max_seconds is not None
        and observation.worked_seconds > observation.job.max_seconds + policy.overtime
    ):
        return f"{OVER_TIME}: it has run for {span(observation.worked_seconds)}"
    return observation.lease.refused


def asked(observation: Observation, run: RunFacts) -> bool:
    """Whether podctl has sent a stop since the pod's last start, delivered or not."""
    sent = run.stopping is not None or run.stopping_at > 0
    return sent and run.stopping_at >= observation.life_began


def stop_job(observation: Observation, run: RunFacts, reason: str) -> StopJob:
    """The order to save and exit; the grace period counts from the first one."""
    first = run.stopping_at if run.stopping_at > 0 and asked(observation, run) else observation.wall
    return StopJob(run.run, reason, first)


def outlasted(observation: Observation, policy: Policy, run: RunFacts) -> Action | None:
    """The end of a run whose pod continues beyond every grace period; None before that."""
    if observation.lease.pod is None or not (run.started or run.stopping_at):
        return None  # no job was started, and none was told to stop
    status = observation.job.contact.status if observation.job.contact is not None else None
    if status is not None and status.state == "ended":
        return None  # then only the pull matters
    reason = _beyond(observation, policy, run, answers=status is not None)
    if reason is None:
        return None
    ready = status.ready_sha256 if status is not None else None
    if ready and ready != observation.local.ready_pulled and not _late(observation, policy, run):
        return PullReady(run.run)
    if abandon := observation.lease.abandon:
        return Finish(run.run, "abandoned", abandon)
    return Finish(run.run, OVERDUE, f"{reason}; files that were not pulled stay on its disk")


def _beyond(
    observation: Observation, policy: Policy, run: RunFacts, *, answers: bool
) -> str | None:
    why = run.stopping or due(observation, policy)
    if why is None:
        return None
    grace = policy.stop_grace if observation.lease.keeps_disk else policy.bare_grace
    refused = observation.job.failures.get("stop")
    if (
        answers
        and refused is not None
        and refused.times >= policy.tries
        and observation.lease.keeps_disk
    ):
        return f"{why}; it refuses the stop ({refused.why})"
    if answers and asked(observation, run):
        late = observation.wall - run.stopping_at
        reason = f"{why}; it still runs {span(late)} after it was told to stop"
        return reason if late > grace else None
    if answers:
        return None  # it is told to stop first
    silent = observation.unreachable_for
    if observation.lease.keeps_disk and silent > policy.lost and due(observation, policy):
        return f"{why}; its pod has not answered for {span(silent)}"
    most = (observation.job.max_seconds or 0.0) + policy.overtime + grace
    if (
        observation.job.max_seconds is not None
        and silent > policy.lost
        and observation.worked_seconds > most
    ):
        return f"{why}; its pod has not answered for {span(silent)}"
    return None


def _late(observation: Observation, policy: Policy, run: RunFacts) -> bool:
    """Whether the time for a last pull of ready files is over."""
    grace = policy.stop_grace if observation.lease.keeps_disk else policy.bare_grace
    return observation.wall - run.stopping_at > grace + policy.last_pull


def given_up(observation: Observation, policy: Policy) -> bool:
    """Whether abandoned files had their time to be pulled anyway."""
    since = observation.job.abandoned_since
    return since is not None and observation.now - since > policy.abandon_grace
