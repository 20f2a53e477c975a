"""The ledger as rows to show: per stage and pod, with estimates and the budget left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from controller.costs.network_volumes import LastSeenVolumes, remembered
from controller.costs.pricing import (
    Forecast,
    Spending,
    estimate_usd,
    remaining_hours,
    spending,
    spending_by_subject,
)
from controller.project.project import Budgets
from state.journal import Journal
from state.journal_rows import Run
from state.last_seen import LastSeen, LastSeenRecord
from state.ledger import Ledger
from state.locks import Locks

if TYPE_CHECKING:
    import sqlite3


@dataclass(frozen=True)
class Entry:
    """One row: a stage, a pod, or everything. USD; hours of compute."""

    scope: str  # stage | pod | total
    name: str
    hours: float
    usd_per_hour_now: float
    compute_usd: float
    storage_usd: float
    usd: float
    parked_usd_per_day: float
    estimate_usd: float | None  # of the whole; None where no rate or no definition is known


@dataclass(frozen=True)
class Account:
    """Everything `podctl cost` shows."""

    at: float
    stages: tuple[Entry, ...]
    pods: tuple[Entry, ...]
    total: Entry
    volumes: tuple[LastSeenVolumes, ...]  # the user's own: in no sum above
    budget_usd: float | None
    left_usd: float | None


def read_account(connection: sqlite3.Connection, budgets: Budgets, now: float) -> Account:
    """Build the account from the state database alone; makes no request."""
    ledger, journal = Ledger(connection), Journal(connection)
    runs = {run.stage: run for run in journal.newest_runs()}  # the newest of each stage
    locked = {lock.stage for lock in Locks(connection).all()}
    last_seen = LastSeen(connection).of(f"run:{run.id}" for run in runs.values())
    by_stage = ledger.by_stage(now)
    stages = tuple(
        _entry("stage", row, _estimate(row, runs.get(row.subject), locked, last_seen))
        for row in spending_by_subject(by_stage)
    )
    pods = tuple(_entry("pod", row, None) for row in spending_by_subject(ledger.by_pod(now)))
    account_total = spending(by_stage)
    estimates = [row.estimate_usd for row in stages]
    known = [estimate for estimate in estimates if estimate is not None]
    total = _entry("total", account_total, sum(known) if len(known) == len(estimates) else None)
    limit = budgets.project_usd
    return Account(
        at=now,
        stages=stages,
        pods=pods,
        total=total,
        volumes=remembered(connection),
        budget_usd=limit,
        left_usd=None if limit is None else limit - account_total.usd,
    )


def _entry(scope: str, row: Spending, estimate: float | None) -> Entry:
    return Entry(
        scope=scope,
        name="" if scope == "total" else row.subject,
        hours=row.hours,
        usd_per_hour_now=row.usd_per_hour_now,
        compute_usd=row.compute_usd,
        storage_usd=row.storage_usd,
        usd=row.usd,
        parked_usd_per_day=row.parked_usd_per_day,
        estimate_usd=estimate,
    )


def _estimate(
    row: Spending, run: Run | None, locked: set[str], last_seen: dict[str, LastSeenRecord]
) -> float | None:
    """The stage's whole cost: by measured progress, else by its definition as it was pinned."""
    if row.subject in locked:
        return row.usd
    pinned: dict[str, Any] = run.spec.get("stage", {}) if run else {}
    hours = run.spec.get("predicted_hours", pinned.get("hours")) if run else None
    rate = row.compute_usd / row.hours if row.hours else None
    if run is None or not isinstance(hours, (int, float)):
        return None
    need = pinned.get("hardware", {})
    sighting = last_seen.get(f"run:{run.id}") if run.open else None
    left = None
    if sighting is not None:
        elapsed = (sighting.at - run.at) / 3600
        left = remaining_hours(sighting.data.get("step"), sighting.data.get("max_steps"), elapsed)
    forecast = Forecast(
        hours=float(hours),
        usd_per_hour=rate,
        disk_gb=float(need.get("disk_gb") or 0),
        volume_gb=float(need.get("volume_gb") or 0),
        remaining_hours=left,
        finished=False,
        phased="predicted_hours" in run.spec,
    )
    return estimate_usd(forecast, row.usd)
