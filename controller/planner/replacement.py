"""Replaces a pod that is not usable, or restarts its run. Pure; part of `decide`."""

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
    """The pod vanished without an order. The user may have ended it, so ask before renting."""
    why = f"pod {observation.lease.pod} disappeared: {how}"
    if policy.on_vanished == "ask" and _may_restart(observation, policy, run):
        return ConfirmRestart(run.run, why)
    return restart(observation, policy, run, why)


def restart(observation: Observation, policy: Policy, run: RunFacts, why: str) -> Action:
    """The disk is gone: restart the run from the local files, a limited number of times."""
    if _may_restart(observation, policy, run):
        return RestartRun(run.run, why)
    return Finish(run.run, "pod-lost", why)


def _may_restart(observation: Observation, policy: Policy, run: RunFacts) -> bool:
    ending = observation.lease.ending or observation.locked_by_other(run) is not None
    wanted = policy.may_rent and not ending and not observation.over_cap
    return wanted and run.reworks < policy.reworks


def replace(observation: Observation, policy: Policy, why: str) -> Action:
    """Terminate the pod so that another is rented, unless it may hold unpulled files."""
    lease_state = observation.lease
    assert lease_state.pod is not None
    if (lease_state.unpulled and not lease_state.shared_disk) or not policy.may_rent:
        return NeedsOperator(
            "artifacts-not-safe",
            f"Pod {lease_state.pod}: {why}; the job's files may exist only there.",
            "podctl sync to try again, or podctl stop --terminate --abandon REASON",
        )
    return Terminate(lease_state.pod, why)
