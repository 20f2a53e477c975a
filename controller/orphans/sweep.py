"""Classifies every pod of the account by its owner, from the provider's listing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from controller.costs.pricing import HOURS_PER_MONTH, parked_usd_per_day, running_disk_rate
from controller.providers.base import Pod, PodStatus
from remote.contract import ENV_NONCE, ENV_OWNER
from state.database import installation

if TYPE_CHECKING:
    import sqlite3

    from controller.project.project import Project
    from jobs.stage import Stage
    from state.journal import Journal

NONCE = re.compile(r"[0-9a-f]{16}")


class Ownership(StrEnum):
    LIVE = "live"  # an unfinished run of this project owns it
    STALE = "stale-own"  # rented by this project; no run owns it any more
    OTHER = "other-podctl"  # rented by podctl elsewhere
    FOREIGN = "foreign"  # not rented by podctl


@dataclass(frozen=True)
class OrphanPod:
    """One pod of the account with its owner."""

    pod: str
    name: str
    whose: Ownership
    status: str
    gpu: str
    usd_per_hour: float  # compute and disks, as it bills now
    usd_per_month_parked: float  # the price of its volume while it is stopped
    lease: str  # the lease that owns or owned it; empty: none known
    stage: str  # from its name; empty: none
    created_at: float | None


def sweep(connection: sqlite3.Connection, pods: Iterable[Pod]) -> tuple[OrphanPod, ...]:
    """Every pod of the account that is not terminated, with its owner; the costliest first."""
    from state.journal import Journal

    journal = Journal(connection)
    nonces = journal.nonces()
    open_leases = {lease.id for lease in journal.open_leases()}
    owner = installation(connection)
    orphans = [
        _classify(pod, owner, nonces, open_leases)
        for pod in pods
        if pod.status is not PodStatus.TERMINATED
    ]
    return tuple(sorted(orphans, key=lambda item: (-item.usd_per_hour, item.pod)))


def _classify(pod: Pod, owner: str, nonces: dict[str, str], open_leases: set[str]) -> OrphanPod:
    nonce = pod.nonce if pod.nonce and NONCE.fullmatch(pod.nonce) else None
    lease = nonces.get(nonce or "", "")
    parked = pod.status is PodStatus.EXITED
    disks = 0.0 if parked else running_disk_rate(pod.disk_gb, pod.volume_gb)
    per_day = parked_usd_per_day(pod.volume_gb) if parked else 0.0
    return OrphanPod(
        pod=pod.id,
        name=pod.name,
        whose=_whose(pod, nonce, lease, owner, open_leases),
        status=str(pod.status),
        gpu=pod.gpu or "",
        usd_per_hour=pod.usd_per_hour + disks + per_day / 24,
        usd_per_month_parked=per_day / 24 * HOURS_PER_MONTH,
        lease=lease,
        stage=_stage_of(pod.name, nonce),
        created_at=pod.created_at,
    )


def _whose(pod: Pod, nonce: str | None, lease: str, owner: str, open_leases: set[str]) -> Ownership:
    if nonce is None:
        # Only one of podctl's variables: a copied environment, or an altered one.
        return (
            Ownership.OTHER
            if pod.env.get(ENV_NONCE) or pod.env.get(ENV_OWNER)
            else Ownership.FOREIGN
        )
    if lease:
        return Ownership.LIVE if lease in open_leases else Ownership.STALE
    return Ownership.STALE if pod.env.get(ENV_OWNER) == owner else Ownership.OTHER


def _stage_of(name: str, nonce: str | None) -> str:
    match = re.fullmatch(rf"podctl-([a-z][a-z0-9_-]{{0,31}})-{nonce}", name) if nonce else None
    return match[1] if match else ""


def claim(journal: Journal, lease: str, number: int, pod: Pod, at: float | None = None) -> None:
    """Record `pod` as generation `number` of `lease`, as if its create call had got no response.

    The next observation finds the pod by its nonce, as after a crash. `at`, by the provider's
    clock, is a moment at which no create of this project was under way.
    """
    from controller.planner.lease_state import Step

    journal.note(lease, Step.GENERATION, {"number": number, "nonce": pod.nonce})
    offer = {"offer": pod.gpu or "cpu", "usd_per_hour": pod.usd_per_hour, "claimed_at": at}
    journal.intent(lease, Step.CREATE, offer)


def open_adopting_lease(
    journal: Journal, project: Project, on_success: str, on_failure: str
) -> str:
    """Open a lease for an existing pod; it never rents another one. Returns the lease id."""
    return journal.open_lease(
        {
            "cap_usd": project.budgets().run_usd,
            "adopted": True,
            "on_success": on_success,
            "on_failure": on_failure,
            "settle": project.config.pod.settle_seconds,
            "boot": project.config.pod.boot_minutes * 60.0,
            "provider": project.config.project.provider,
        }
    )


def adopt(journal: Journal, project: Project, stage: Stage, pod: Pod, api_base: str) -> str:
    """Open a new run of `stage` on the existing `pod`. Returns the run id.

    The pod is parked at the end, never terminated, because it may hold older files.
    """
    from controller.engine.lease_context import pinned
    from controller.project.pod_settings import shape_of

    lease = open_adopting_lease(journal, project, "park", "park")
    run = journal.open_run(lease, stage.name, pinned(stage, shape_of(project, api_base)))
    claim(journal, lease, 1, pod)
    return run
