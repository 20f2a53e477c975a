"""Compares the provider's bill with the ledger, and classifies pods that only the bill has.

A billing record has a pod's id and amounts: no name, no nonce. A pod that is still listed is
identified by its nonce. A terminated pod that the ledger lacks may be this project's only if it was
billed while a create of this project was unconfirmed, and for no more than that create could cost:
the pod may have been created late, never listed, and stopped by its guard. It is called *unseen*
and is recorded only if the user confirms it; any other terminated pod is *foreign*.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from controller.costs.pricing import Difference, reconcile
from controller.costs.spending import Account
from controller.orphans.sweep import OrphanPod, Ownership
from controller.planner.lease_state import Step
from controller.providers.base import BillingRecord
from state.interval import Interval, milliseconds, nano_per_hour, new_interval
from state.journal import Journal
from state.journal_rows import Lease, Op

UNLISTED = "unseen"  # possibly this project's: see above
BUCKET = 3600.0  # seconds; the resolution of the bill
OURS = (Ownership.LIVE, Ownership.STALE, UNLISTED)


@dataclass(frozen=True)
class UnconfirmedCreate:
    """A create call of `lease` without a response, whose pod was never found; the time in which
    it may have billed."""

    lease: str
    run: str | None
    stage: str
    since: float  # Unix seconds
    until: float
    usd_per_hour: float  # the requested price


@dataclass(frozen=True)
class Billed:
    """One pod on the bill that the ledger lacks."""

    pod_id: str
    whose: str  # of `Ownership`, or UNLISTED
    compute_usd: float
    disk_usd: float
    usd: float
    first: float  # begin of its first bucket, Unix seconds
    last: float  # end of its last one


@dataclass(frozen=True)
class Bill:
    """The comparison: `ours` with their differences; `others` belong to other owners."""

    ours: tuple[Difference, ...]
    others: tuple[Billed, ...]

    @property
    def agrees(self) -> bool:
        return all(difference.agrees for difference in self.ours)


def examine(
    account: Account,
    records: Iterable[BillingRecord],
    listed: Iterable[OrphanPod],
    windows: Iterable[UnconfirmedCreate],
) -> Bill:
    """Compare every pod of the ledger and the bill."""
    bill = list(records)
    ledger = {row.name: row.usd for row in account.pods}
    unrecorded = unknown(bill, ledger, listed, windows)
    ours = {charge.pod_id: charge.whose for charge in unrecorded if charge.whose in OURS}
    billed: dict[str, float] = defaultdict(float)
    for record in bill:
        if record.pod_id in ledger or record.pod_id in ours:
            billed[record.pod_id] += record.total_usd
    rows = (
        _judged(difference, ours.get(difference.pod_id)) for difference in reconcile(ledger, billed)
    )
    return Bill(tuple(rows), tuple(charge for charge in unrecorded if charge.pod_id not in ours))


def _judged(difference: Difference, whose: str | None) -> Difference:
    """A pod that the ledger lacks counts as a difference, whatever it cost."""
    return (
        difference if whose is None else dataclasses.replace(difference, agrees=False, whose=whose)
    )


def unknown(
    records: Iterable[BillingRecord],
    ledger: Mapping[str, float],
    listed: Iterable[OrphanPod],
    windows: Iterable[UnconfirmedCreate],
) -> tuple[Billed, ...]:
    """The pods of the bill that are not in the ledger, with their owner; the costliest first."""
    groups: dict[str, list[BillingRecord]] = defaultdict(list)
    for record in records:
        if record.pod_id not in ledger:
            groups[record.pod_id].append(record)
    owners = {orphan.pod: str(orphan.whose) for orphan in listed}
    unclear = tuple(windows)
    charges = [_billed(pod, rows, owners.get(pod), unclear) for pod, rows in groups.items()]
    return tuple(sorted(charges, key=lambda item: (-item.usd, item.pod_id)))


def _billed(
    pod: str, rows: list[BillingRecord], owner: str | None, windows: tuple[UnconfirmedCreate, ...]
) -> Billed:
    charge = Billed(
        pod_id=pod,
        whose=owner or str(Ownership.FOREIGN),
        compute_usd=sum(row.compute_usd for row in rows),
        disk_usd=sum(row.disk_usd for row in rows),
        usd=sum(row.total_usd for row in rows),
        first=min(row.start for row in rows),
        last=max(row.end for row in rows),
    )
    if owner is None and window_of(charge, windows) is not None:
        return dataclasses.replace(charge, whose=UNLISTED)
    return charge


def window_of(charge: Billed, windows: Iterable[UnconfirmedCreate]) -> UnconfirmedCreate | None:
    """The unconfirmed create that may have created the pod: by the time and the requested price."""
    for window in windows:
        in_time = charge.first > window.since - BUCKET and charge.first < window.until
        max_usd = window.usd_per_hour * (window.until - window.since + BUCKET) / 3600
        if in_time and charge.compute_usd <= max_usd:
            return window
    return None


def unclear_creates(
    journal: Journal, now: float, since: float | None = None
) -> tuple[UnconfirmedCreate, ...]:
    """The create calls of all leases that may have created a pod that was never listed.

    `since` (Unix seconds) limits them to those that may have billed after it.
    """
    creates = (_unclear(journal, lease, now) for lease in journal.unsettled_creates(since))
    return tuple(create for create in creates if create is not None)


def _unclear(journal: Journal, lease: Lease, now: float) -> UnconfirmedCreate | None:
    unanswered = _unanswered(journal.ops(lease.id))
    runs = journal.runs(lease=lease.id)
    if not unanswered or not runs:
        return None
    return UnconfirmedCreate(
        lease=lease.id,
        run=runs[0].id,
        stage=runs[0].stage,
        since=unanswered[0].at,
        until=lease.closed_at or now,
        usd_per_hour=max(float(op.data.get("usd_per_hour") or 0.0) for op in unanswered),
    )


def _unanswered(ops: Iterable[Op]) -> list[Op]:
    """Create intents without a definite response, less those whose pods were found later."""
    unanswered: dict[int, Op] = {}
    for op in ops:
        if op.step == Step.CREATE and op.phase == "intent":
            unanswered[op.seq] = op
        elif op.step == Step.CREATE and op.data.get("kind") != "ambiguous":
            unanswered.pop(op.of or 0, None)
        elif op.step in (Step.ADOPT, Step.SURPLUS) and unanswered:
            unanswered.popitem()
    return list(unanswered.values())


def intervals(charge: Billed, window: UnconfirmedCreate) -> tuple[Interval, ...]:
    """Ledger intervals for an unseen pod: the billed amounts at the requested rate."""
    rate = window.usd_per_hour
    hours = charge.compute_usd / rate if rate > 0 and charge.compute_usd > 0 else BUCKET / 3600
    begin = milliseconds(max(charge.first, window.since))
    end = begin + max(1, milliseconds(hours * 3600))
    rates = {"compute": charge.compute_usd / hours, "disk": charge.disk_usd / hours}
    return tuple(
        new_interval(
            pod_id=charge.pod_id,
            lease=window.lease,
            run=window.run,
            stage=window.stage,
            kind=kind,
            nano_per_hour=nano_per_hour(usd),
            rate_source="provider",
            started_ms=begin,
            ended_ms=end,
            end_source="bill",
        )
        for kind, usd in rates.items()
        if usd > 0
    )
