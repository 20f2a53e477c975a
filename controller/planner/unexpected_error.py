"""What is decided about an action that raised what nobody foresaw. Pure, as `plan` is.

It is tried again after a pause, a few times; then the drive ends with a told error from which
`podctl sync` tries again and `podctl stop --terminate --abandon REASON` ends the lease. Whatever is
here stays here.
"""

from __future__ import annotations

from controller.incident import Incident
from controller.planner import actions
from controller.planner.actions import Action, Done, Finish, NeedsOperator, Terminate, Wait
from controller.planner.observation import Observation, Repeated
from controller.planner.policy import Policy
from controller.planner.teardown import park

LOOK = "look"  # the name under which a failed observation or decision is counted

_WORDS: dict[type[Action], str] = {
    actions.Create: "rent a pod",
    actions.OpenGeneration: "begin to rent",
    actions.Adopt: "take over pod {0.pod}",
    actions.RecordPod: "book pod {0.pod}",
    actions.Terminate: "terminate pod {0.pod}",
    actions.ConfirmGone: "book the end of pod {0.pod}",
    actions.StartPod: "start pod {0.pod}",
    actions.RecordRestart: "book that pod {0.pod} runs",
    actions.ReconcileBilling: "book what pod {0.pod} cost",
    actions.StopPod: "stop pod {0.pod}",
    actions.ConfirmParked: "book that pod {0.pod} is stopped",
    actions.Upload: "upload for {0.run}",
    actions.StartJob: "start the job of {0.run}",
    actions.StopJob: "stop the job of {0.run}",
    actions.Pull: "pull the artifacts of {0.run}",
    actions.Judge: "judge {0.run}",
    actions.Lock: "lock {0.run}",
    actions.Finish: "write down the end of {0.run}",
    actions.Close: "close the lease",
}


def name_of(action: Action) -> str:
    """By which an action's incidents are counted."""
    subject = getattr(action, "run", None) or getattr(action, "pod", "")
    return f"{type(action).__name__} {subject}".strip()


def bounded(observation: Observation, policy: Policy, action: Action) -> Action:
    """`action`, unless it raised before: then later, or what ends it."""
    found = observation.incidents.get(name_of(action))
    if found is None or isinstance(action, Wait | NeedsOperator | Done):
        return action
    if found.times >= policy.incidents:
        return _ending(observation, policy, action, found)
    if observation.now < found.retry_at:
        return Wait(found.retry_at - observation.now, "before that is tried again", found.retry_at)
    return action


def _ending(observation: Observation, policy: Policy, action: Action, found: Repeated) -> Action:
    lease_state, run = observation.lease, observation.lease.current
    what = _WORDS.get(type(action), type(action).__name__).format(action)
    why = f"podctl could not {what}, {found.times} times: {found.why}"
    instead: Action | None = None
    if run is not None and not isinstance(action, Finish):
        rents = isinstance(action, actions.Create | actions.OpenGeneration)
        nothing_there = isinstance(action, actions.Upload) and not run.started
        judged = isinstance(action, actions.Judge | actions.Lock)
        if rents or nothing_there or (judged and lease_state.stop):
            instead = Finish(run.run, "failed", why)
        elif isinstance(action, actions.Pull) and lease_state.stop:
            instead = Finish(run.run, "unpulled", why)
        elif judged:
            instead = _rest(observation, policy)
    return (
        bounded(observation, policy, instead) if instead is not None else _leave(observation, why)
    )


def _rest(observation: Observation, policy: Policy) -> Action | None:
    """Everything is here, and only podctl cannot go on: meanwhile no pod works for nobody."""
    lease_state = observation.lease
    if lease_state.pod is None or lease_state.parked:
        return None
    if lease_state.keeps_disk:
        resting = park(observation, policy, lease_state.pod)
        return None if isinstance(resting, NeedsOperator) else resting
    return None if lease_state.unpulled else Terminate(lease_state.pod, "all of it is here")


def _leave(observation: Observation, why: str) -> NeedsOperator:
    lease_state = observation.lease
    run = lease_state.current or (lease_state.runs[-1] if lease_state.runs else None)
    end = f"podctl stop {run.stage if run else ''} --terminate --abandon REASON"
    here = f"what is here stays in .podctl/runs/{run.run}" if run else "what is here stays here"
    return NeedsOperator(
        "artifacts-not-safe" if lease_state.unpulled else "failed",
        why,
        f"podctl sync tries again; {end.replace('  ', ' ')} ends it, and {here}",
    )


def blindness(found: Incident, times: int) -> NeedsOperator:
    """The world could not even be looked at, or nothing be decided about it."""
    return NeedsOperator(
        "failed",
        f"podctl could not look or decide what to do, {times} times: {found.text}",
        "podctl sync tries again; podctl stop --terminate --abandon REASON ends it, "
        "and what is here stays here",
    )


def more(found: Repeated | None, why: str, retry_at: float) -> Repeated:
    """Once more in a row."""
    return Repeated((found.times if found else 0) + 1, why, retry_at)
