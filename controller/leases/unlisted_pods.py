"""Finds the waiting pods that the provider lists no more, before a run begins."""

from __future__ import annotations

from dataclasses import dataclass, field

from controller.planner.actions import Action, Done
from controller.planner.decide import UNLISTED, plan_before_run
from controller.planner.observation import Observation
from controller.planner.policy import Policy


@dataclass
class UnlistedPods:
    """A plan of the loop, which remembers the leases whose pod no listing shows."""

    leases: set[str] = field(default_factory=set)

    def __call__(self, observation: Observation, policy: Policy) -> Action:
        action = plan_before_run(observation, policy)
        if action == Done(UNLISTED):
            self.leases.add(observation.lease.lease)
        return action
