"""Renews a lease whose pod waits for the user: another run uses the pod.

A warm or kept pod runs already; a parked one is started again. The lease, its nonces and its
pending terminations stay, so that no pod ever has two owners. Where the pod cannot be used, the
plan ends it and rents another, as it does with any bad host.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from controller.engine.lease_context import unpinned
from controller.errors import PodctlError
from controller.leases.resting_pod import LEAST_WARM
from controller.planner import pod_spec as order
from controller.planner.journal_fold import lease_state_of
from controller.planner.lease_state import LeaseState
from controller.planner.pod_spec import Shape
from jobs.stage import Stage
from state.journal import Journal
from state.journal_rows import Lease

OTHERS = ("drill", "adopted")  # leases that were not rented for stages of this project
UPLOADS = 1800.0  # seconds beside the jobs' budgets that the guard must leave a running pod


@dataclass(frozen=True)
class Reusable:
    """A resting lease with its pod, and why that is not used again; empty: it can be."""

    lease: Lease
    lease_state: LeaseState
    why_not: str = ""

    def line(self) -> str:
        """What the user agrees to."""
        pod, run = self.lease_state.pod, self.lease_state.wanted[0].run
        if self.lease_state.parked:
            return (
                f"parked pod {pod} of {run} is restarted for it; if its host has no capacity, it "
                "is terminated, since all its files are downloaded, and another pod is rented"
            )
        return f"pod {pod} of {run} runs already and is used for it: nothing is rented"


def reusable(
    journal: Journal,
    resting: Sequence[Lease],
    stages: Sequence[Stage],
    shape: Shape,
    provider: str,
    *,
    now: float,
    unlisted: Collection[str] = (),
) -> Reusable | None:
    """The newest resting pod that `stages` can use, one that runs before one that is parked.

    If there is none, the newest that ran one of `stages`, with the reason. The pods of the leases
    in `unlisted` cannot be used.
    """
    found = [
        replace(pod, why_not="the provider does not list it") if pod.lease.id in unlisted else pod
        for pod in _resting(journal, resting, stages, shape, provider, now)
    ]
    found.sort(key=lambda one: one.lease_state.parked)
    names = {stage.name for stage in stages}
    usable = (one for one in found if not one.why_not)
    of_these = (one for one in found if names & {run.stage for run in one.lease_state.runs})
    return next(usable, None) or next(of_these, None)


def _resting(
    journal: Journal,
    resting: Sequence[Lease],
    stages: Sequence[Stage],
    shape: Shape,
    provider: str,
    now: float,
) -> Iterator[Reusable]:
    """Every resting lease that has a pod, newest first."""
    for lease in reversed(resting):
        lease_state = lease_state_of(journal, lease.id)
        if lease_state.pod is not None and not lease_state.unreadable:
            try:
                why = _unlike(journal, lease, lease_state, stages, shape, provider)
            except PodctlError as error:  # another version of podctl rented it
                why = error.what
            yield Reusable(lease, lease_state, why or _too_late(lease_state, stages, shape, now))


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
    price = need.max_usd_per_hour
    alike = replace(need, min_gpu_memory_gb=least, max_usd_per_hour=had.max_usd_per_hour)
    if alike != had or not _fits_disks(stages, was, shape):
        return "the stage's hardware has changed"
    if price is not None and lease_state.quoted_usd_per_hour > price:
        return f"the stage's hardware has changed: it costs more than ${price:.2f}/h"
    if lease_state.parked and _hard_cap(stages, shape) > _hard_cap(was, shape):
        return "its guard stops it before the stage's max_hours end"
    return ""


def _fits_disks(stages: Sequence[Stage], was: Sequence[Stage], shape: Shape) -> bool:
    need, had = (
        (max(stage.hardware.disk_gb for stage in those), order.volume_gb(those, shape))
        for those in (stages, was)
    )
    return (shape.disk_gb is not None or need[0] <= had[0]) and need[1] <= had[1]


def _too_late(lease_state: LeaseState, stages: Sequence[Stage], shape: Shape, now: float) -> str:
    """Why a pod that runs would end too early for `stages`."""
    if lease_state.parked:
        return ""
    warm_until = lease_state.warm_until
    if warm_until is not None and warm_until - now < LEAST_WARM:
        return "its time to wait is over"
    began = lease_state.life[1] if lease_state.life is not None else 0.0
    jobs = _hard_cap(stages, shape) - order.HARD_CAP_SLACK
    if began + lease_state.hard_cap - now < jobs + UPLOADS:
        return "its guard stops it before the stage's max_hours end"
    return ""


def _hard_cap(stages: Sequence[Stage], shape: Shape) -> float:
    return order.guard_limits(stages, shape, 0.0).hard_cap
