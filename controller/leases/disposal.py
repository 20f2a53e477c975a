"""What becomes of a pod that `podctl stop` ends. Pure."""

from __future__ import annotations

from controller.leases.options import StopOptions
from controller.planner.lease_state import LeaseState
from controller.project.project import Project


def disposal_by(project: Project, options: StopOptions) -> str:
    if options.terminate or options.abandon:
        return "terminate"
    pod = project.config.pod
    policy = pod.on_failure if "on_failure" in pod.model_fields_set else "park"
    return "park" if policy == "keep" else policy


def disposal_of(lease_state: LeaseState, disposal: str) -> str:
    """Nothing is worth parking of a running pod without a job whose files are all here."""
    idle = lease_state.current is None and lease_state.pod and not lease_state.parked
    idle = idle and not lease_state.visiting
    return "terminate" if idle and not lease_state.unpulled else disposal
