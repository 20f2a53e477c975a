"""What follows an action that raised an unexpected exception. Pure.

The action is tried again after a pause, a few times; then the drive ends with an error. From there
`podctl sync` tries again and `podctl stop --terminate --abandon REASON` ends the lease. Local files
are kept.
"""

from __future__ import annotations

from controller.incident import Incident
from controller.planner import actions
from controller.planner.actions import Action, Done, Finish, NeedsOperator, Terminate, Wait
from controller.planner.observation import Observation, Repeated
from controller.planner.policy import Policy
from controller.planner.teardown import park

LOOK = "look"  # the name under which a failed observation or decision is counted

_PHRASES: dict[type[Action], str] = {
    actions.Create: "rent a pod",
    actions.OpenGeneration: "start a generation",
    actions.Adopt: "take over pod {0.pod}",
    actions.RecordPod: "record pod {0.pod}",
    actions.Terminate: "terminate pod {0.pod}",
    actions.ConfirmGone: "record the end of pod {0.pod}",
    actions.StartPod: "start pod {0.pod}",
    actions.RecordRestart: "record that pod {0.pod} runs",
    actions.ReconcileBilling: "record what pod {0.pod} cost",
    actions.StopPod: "stop pod {0.pod}",
    actions.ConfirmParked: "record that pod {0.pod} is stopped",
    actions.KeepWarm: "keep pod {0.pod} warm",
    actions.Upload: "upload for {0.run}",
    actions.StartJob: "start the job of {0.run}",
    actions.StopJob: "stop the job of {0.run}",
    actions.Pull: "pull the artifacts of {0.run}",
    actions.Judge: "judge {0.run}",
    actions.Lock: "lock {0.run}",
    actions.Finish: "record the end of {0.run}",
    actions.Close: "close the lease",
}


def name_of(action: Action) -> str:
    """The name under which incidents of `action` are counted."""
    subject = getattr(action, "run", None) or getattr(action, "pod", "")
    return f"{type(action).__name__} {subject}".strip()


def phrase(action: Action) -> str:
    """The action in words, as they follow "podctl could not"."""
    return _PHRASES.get(type(action), type(action).__name__).format(action)


def bounded(observation: Observation, policy: Policy, action: Action) -> Action:
    """`action`; after an incident a wait; after too many what replaces it."""
    repeated = observation.incidents.get(name_of(action))
    if repeated is None or isinstance(action, Wait | NeedsOperator | Done):
        return action
    if repeated.times >= policy.incidents:
        return _ending(observation, policy, action, repeated)
    if observation.now < repeated.retry_at:
        return Wait(repeated.retry_at - observation.now, "before the next try", repeated.retry_at)
    return action


def _ending(observation: Observation, policy: Policy, action: Action, repeated: Repeated) -> Action:
    lease_state, run = observation.lease, observation.lease.current
    why = f"podctl could not {phrase(action)}, {repeated.times} times: {repeated.why}"
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
    """Park or terminate the pod when all files are local and only podctl fails."""
    lease_state = observation.lease
    if lease_state.pod is None or lease_state.parked:
        return None
    if lease_state.keeps_disk:
        resting = park(observation, policy, lease_state.pod)
        return None if isinstance(resting, NeedsOperator) else resting
    return None if lease_state.unpulled else Terminate(lease_state.pod, "all files were pulled")


def _leave(observation: Observation, why: str) -> NeedsOperator:
    lease_state = observation.lease
    run = lease_state.current or (lease_state.runs[-1] if lease_state.runs else None)
    end = f"podctl stop {run.stage if run else ''} --terminate --abandon REASON"
    kept = f"local files stay in .podctl/runs/{run.run}" if run else "local files are kept"
    return NeedsOperator(
        "artifacts-not-safe" if lease_state.unpulled else "failed",
        why,
        f"podctl sync tries again; {end.replace('  ', ' ')} ends it, and {kept}",
    )


def blindness(repeated: Incident, times: int) -> NeedsOperator:
    """NeedsOperator after repeated exceptions of an observation or a decision."""
    return NeedsOperator(
        "failed",
        f"podctl could not observe or decide what to do, {times} times: {repeated.text}",
        "podctl sync tries again; podctl stop --terminate --abandon REASON ends it, "
        "and local files are kept",
    )


def more(repeated: Repeated | None, why: str, retry_at: float) -> Repeated:
    """One more incident in a row."""
    return Repeated((repeated.times if repeated else 0) + 1, why, retry_at)
