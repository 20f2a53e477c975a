"""When a pod will not do: another one, or the same run again. Pure; part of `plan.decide`."""

from __future__ import annotations

from controller.planner.actions import (
    Action,
    ConfirmRestart,
    Finish,
    NeedsOperator,
    RestartRun,
    Terminate,
)
from controller.planner.lease_state import RunFacts
from controller.planner.observation import Observation
from controller.planner.policy import Policy


def vanished(observation: Observation, policy: Policy, run: RunFacts, how: str) -> Action:
    """Not by our order: a person may have ended it in the console, so nothing is rented unasked."""
    why = f"pod {observation.lease.pod} disappeared: {how}"
    if policy.on_vanished == "ask" and _may_rework(observation, policy, run):
        return ConfirmRestart(run.run, why)
    return rework(observation, policy, run, why)


def rework(observation: Observation, policy: Policy, run: RunFacts, why: str) -> Action:
    """Its disk is gone: the run begins again from what is here, a bounded number of times."""
    if _may_rework(observation, policy, run):
        return RestartRun(run.run, why)
    return Finish(run.run, "pod-lost", why)


def _may_rework(observation: Observation, policy: Policy, run: RunFacts) -> bool:
    wanted = policy.rents and not observation.lease.ending and not observation.over_cap
    return wanted and run.reworks < policy.reworks


def replace(observation: Observation, policy: Policy, why: str) -> Action:
    """Another pod, if nothing of value can be on this one."""
    lease_state = observation.lease
    assert lease_state.pod is not None
    if (lease_state.unpulled and not lease_state.shared_disk) or not policy.rents:
        return NeedsOperator(
            "artifacts-not-safe",
            f"Pod {lease_state.pod}: {why}; what the job wrote may be only there.",
            "podctl sync to try again, or podctl stop --terminate --abandon REASON",
        )
    return Terminate(lease_state.pod, why)
