"""The provider's bill against the ledger, and pods that only the bill knows.

A billing record has a pod's id and amounts: no name, no nonce. A pod that is still listed is
identified by its nonce. One that is gone, and that no ledger has, may be this project's only if it
was billed while a create of this project was unconfirmed, and for no more than that create could
cost: the pod was perhaps created late, never listed, and stopped by its guard. It is called
*unseen* and is recorded only when the user confirms it; any other pod that is gone is *foreign*.
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
from state.journal import Journal, Lease, Op

UNLISTED = "unseen"  # perhaps ours: see above
BUCKET = 3600.0  # seconds; the bill says no more exactly when a pod lived
OURS = (Ownership.LIVE, Ownership.STALE, UNLISTED)


@dataclass(frozen=True)
class UnconfirmedCreate:
    """A create of `lease` that was never answered, nor its pod found: when it may have billed."""

    lease: str
    run: str | None
    stage: str
    since: float  # Unix seconds
    until: float
    usd_per_hour: float  # what it asked for


@dataclass(frozen=True)
class Billed:
    """One pod on the bill that the ledger does not have."""

    pod_id: str
    whose: str  # of `Ownership`, or UNLISTED
    compute_usd: float
    disk_usd: float
    usd: float
    first: float  # begin of its first bucket, Unix seconds
    last: float  # end of its last one


@dataclass(frozen=True)
class Bill:
    """`ours` disagree or agree; `others` are of no concern here, and named all the same."""

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
    """Every pod that ledger or bill knows."""
    bill = list(records)
    ledger = {row.name: row.usd for row in account.pods}
    strange = unknown(bill, ledger, listed, windows)
    ours = {charge.pod_id: charge.whose for charge in strange if charge.whose in OURS}
    billed: dict[str, float] = defaultdict(float)
    for record in bill:
        if record.pod_id in ledger or record.pod_id in ours:
            billed[record.pod_id] += record.total_usd
    rows = (
        _judged(difference, ours.get(difference.pod_id)) for difference in reconcile(ledger, billed)
    )
    return Bill(tuple(rows), tuple(charge for charge in strange if charge.pod_id not in ours))


def _judged(difference: Difference, whose: str | None) -> Difference:
    """A pod that the ledger lacks is a difference, however little it cost."""
    return (
        difference if whose is None else dataclasses.replace(difference, agrees=False, whose=whose)
    )


def unknown(
    records: Iterable[BillingRecord],
    ledger: Mapping[str, float],
    listed: Iterable[OrphanPod],
    windows: Iterable[UnconfirmedCreate],
) -> tuple[Billed, ...]:
    """The pods of the bill that are not in the ledger, by whose they are; the dearest first."""
    groups: dict[str, list[BillingRecord]] = defaultdict(list)
    for record in records:
        if record.pod_id not in ledger:
            groups[record.pod_id].append(record)
    marks = {orphan.pod: str(orphan.whose) for orphan in listed}
    unclear = tuple(windows)
    found = [_billed(pod, rows, marks.get(pod), unclear) for pod, rows in groups.items()]
    return tuple(sorted(found, key=lambda item: (-item.usd, item.pod_id)))


def _billed(
    pod: str, rows: list[BillingRecord], mark: str | None, windows: tuple[UnconfirmedCreate, ...]
) -> Billed:
    one = Billed(
        pod_id=pod,
        whose=mark or str(Ownership.FOREIGN),
        compute_usd=sum(row.compute_usd for row in rows),
        disk_usd=sum(row.disk_usd for row in rows),
        usd=sum(row.total_usd for row in rows),
        first=min(row.start for row in rows),
        last=max(row.end for row in rows),
    )
    if mark is None and window_of(one, windows) is not None:
        return dataclasses.replace(one, whose=UNLISTED)
    return one


def window_of(charge: Billed, windows: Iterable[UnconfirmedCreate]) -> UnconfirmedCreate | None:
    """The unclear create that may have made it: at that time, and for no more than it asked."""
    for window in windows:
        in_time = charge.first > window.since - BUCKET and charge.first < window.until
        most = window.usd_per_hour * (window.until - window.since + BUCKET) / 3600
        if in_time and charge.compute_usd <= most:
            return window
    return None


def unclear_creates(
    journal: Journal, now: float, since: float | None = None
) -> tuple[UnconfirmedCreate, ...]:
    """Every lease's creates that may have made a pod which nobody ever saw.

    With `since` (Unix seconds) those that may have billed after it.
    """
    found = (_unclear(journal, lease, now) for lease in journal.unsettled_creates(since))
    return tuple(charge for charge in found if charge is not None)


def _unclear(journal: Journal, lease: Lease, now: float) -> UnconfirmedCreate | None:
    waiting = _unanswered(journal.ops(lease.id))
    runs = journal.runs(lease=lease.id)
    if not waiting or not runs:
        return None
    return UnconfirmedCreate(
        lease=lease.id,
        run=runs[0].id,
        stage=runs[0].stage,
        since=waiting[0].at,
        until=lease.closed_at or now,
        usd_per_hour=max(float(op.data.get("usd_per_hour") or 0.0) for op in waiting),
    )


def _unanswered(ops: Iterable[Op]) -> list[Op]:
    """Intents to create without a definite answer, less the pods that were found by looking."""
    waiting: dict[int, Op] = {}
    for op in ops:
        if op.step == Step.CREATE and op.phase == "intent":
            waiting[op.seq] = op
        elif op.step == Step.CREATE and op.data.get("kind") != "ambiguous":
            waiting.pop(op.of or 0, None)
        elif op.step in (Step.ADOPT, Step.SURPLUS) and waiting:
            waiting.popitem()
    return list(waiting.values())


def intervals(charge: Billed, window: UnconfirmedCreate) -> tuple[Interval, ...]:
    """The ledger's rows for an unseen pod: the bill's amounts, at the requested rate."""
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
