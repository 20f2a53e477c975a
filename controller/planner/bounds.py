"""What bounds the money: podctl's own clock and the provider's word. Pure; part of `plan.decide`.

A pod may say for ever that its job runs, and its guard that it is armed. So once the job is to end
(the user's word, the cap, its max_hours) it has a grace; then what is ready is pulled, and the pod
is stopped or terminated through the provider, whatever it says.
"""

from __future__ import annotations

from controller.planner.actions import Action, Finish, PullReady, StopJob
from controller.planner.lease_state import OVERDUE, RunFacts
from controller.planner.observation import Observation
from controller.planner.policy import Policy

# How the reasons begin for which podctl itself stops a job.
OVER_BUDGET, OVER_TIME = "budget:", "its max_hours are over"


def due(observation: Observation, policy: Policy) -> str | None:
    """Why the present run's job is to end now, by what is known here."""
    if observation.lease.stop:
        return "ended by the user"
    if observation.lease.ending:
        return "only what it wrote is wanted"
    if observation.over_cap:
        spent, cap = observation.local.spent_usd, observation.local.cap_usd
        return f"{OVER_BUDGET} ${spent:.2f} of ${cap:.2f} spent"
    if (
        observation.job.max_seconds is not None
        and observation.worked_seconds > observation.job.max_seconds + policy.overtime
    ):
        return f"{OVER_TIME}: it works for {observation.worked_seconds / 3600:.2f} h"
    return observation.lease.refused


def asked(observation: Observation, run: RunFacts) -> bool:
    """Whether the job was told to end in the pod's present life, heard or not."""
    told = run.stopping is not None or run.stopping_at > 0
    return told and run.stopping_at >= observation.life_began


def stop_job(observation: Observation, run: RunFacts, reason: str) -> StopJob:
    """The order to save and end; its grace counts from the first one."""
    first = run.stopping_at if run.stopping_at > 0 and asked(observation, run) else observation.wall
    return StopJob(run.run, reason, first)


def outlasted(observation: Observation, policy: Policy, run: RunFacts) -> Action | None:
    """The end of a run whose pod goes on beyond every grace; None: it is not so far."""
    if observation.lease.pod is None or not (run.started or run.stopping_at):
        return None  # there is no job of ours, and none was told to end
    status = observation.job.contact.status if observation.job.contact is not None else None
    if status is not None and status.state == "ended":
        return None  # then what counts is whether its files come
    told = _beyond(observation, policy, run, answers=status is not None)
    if told is None:
        return None
    ready = status.ready_sha256 if status is not None else None
    if ready and ready != observation.local.ready_pulled and not _late(observation, policy, run):
        return PullReady(run.run)
    if abandon := observation.lease.abandon:
        return Finish(run.run, "abandoned", abandon)
    return Finish(run.run, OVERDUE, f"{told}; what could not be brought here stays on its disk")


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
        return f"{why}; it does not take the word ({refused.why})"
    if answers and asked(observation, run):
        late = observation.wall - run.stopping_at
        told = f"{why}; it goes on {_minutes(late)} after it was told to end"
        return told if late > grace else None
    if answers:
        return None  # it is told first
    silent = observation.unreachable_for
    if observation.lease.keeps_disk and silent > policy.lost and due(observation, policy):
        return f"{why}; its pod cannot be asked, for {_minutes(silent)}"
    most = (observation.job.max_seconds or 0.0) + policy.overtime + grace
    if (
        observation.job.max_seconds is not None
        and silent > policy.lost
        and observation.worked_seconds > most
    ):
        return f"{why}; its pod cannot be asked, for {_minutes(silent)}"
    return None


def _late(observation: Observation, policy: Policy, run: RunFacts) -> bool:
    """Whether there was time enough for a last pull of what is ready."""
    grace = policy.stop_grace if observation.lease.keeps_disk else policy.bare_grace
    return observation.wall - run.stopping_at > grace + policy.last_pull


def given_up(observation: Observation, policy: Policy) -> bool:
    """Whether what the user abandons had its time to come home all the same."""
    since = observation.job.abandoned_since
    return since is not None and observation.now - since > policy.abandon_grace


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds >= 90 else f"{seconds:.0f} s"
