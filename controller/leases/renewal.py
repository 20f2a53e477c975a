"""Renews a lease whose pod is parked: the pod is restarted for another run of a stage.

The lease, its nonces and its pending terminations stay, so that no pod ever has two owners. Where
the pod cannot be started, the plan ends it and rents another, as it does with any bad host.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from controller.engine.lease_context import unpinned
from controller.planner import pod_spec as order
from controller.planner.journal_fold import lease_state_of
from controller.planner.lease_state import LeaseState
from controller.planner.pod_spec import Shape
from jobs.stage import Stage
from state.journal import Journal
from state.journal_rows import Lease

OTHERS = ("drill", "adopted")  # leases that were not rented for stages of this project


@dataclass(frozen=True)
class Parked:
    """A resting lease with its pod, and why that is not started again; empty: it can be."""

    lease: Lease
    lease_state: LeaseState
    why_not: str = ""


def parked(
    journal: Journal, resting: Sequence[Lease], stages: Sequence[Stage], shape: Shape, provider: str
) -> Parked | None:
    """The newest resting lease that ran one of `stages` and whose pod is parked."""
    names = {stage.name for stage in stages}
    for lease in reversed(resting):
        lease_state = lease_state_of(journal, lease.id)
        ran = names & {run.stage for run in lease_state.runs}
        if (
            ran
            and lease_state.parked
            and lease_state.pod is not None
            and not lease_state.unreadable
        ):
            why = _unlike(journal, lease, lease_state, stages, shape, provider)
            return Parked(lease, lease_state, why)
    return None


def _unlike(
    journal: Journal,
    lease: Lease,
    lease_state: LeaseState,
    stages: Sequence[Stage],
    shape: Shape,
    provider: str,
) -> str:
    """Why its pod is not what a run of `stages` would rent."""
    if lease.data.get("provider", provider) != provider:
        return "it was rented from another provider"
    if any(lease.data.get(name) for name in OTHERS):
        return "it was not rented by podctl run"
    if lease_state.unpulled:
        return f"outputs of {', '.join(lease_state.unpulled)} are only on it"
    rows = {run.id: run for run in journal.runs(lease=lease.id)}
    before = [unpinned(rows[run.run].spec) for run in lease_state.wanted]
    was = [stage for stage, _ in before]
    if any(replace(pod, api_base=shape.api_base) != shape for _, pod in before):
        return "the project's [pod] has changed"
    if was[0].ports != stages[0].ports:
        return "the stage's ports have changed"
    had, need = order.hardware(was, shape), order.hardware(stages, shape)
    least = max(had.min_gpu_memory_gb, need.min_gpu_memory_gb)
    if replace(need, min_gpu_memory_gb=least) != had:
        return "the stage's hardware has changed"
    if _hard_cap(stages, shape) > _hard_cap(was, shape):
        return "its guard stops it before the stage's max_hours end"
    return ""


def _hard_cap(stages: Sequence[Stage], shape: Shape) -> float:
    return order.guard_limits(stages, shape, 0.0).hard_cap
