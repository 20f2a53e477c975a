"""Back-fills the ledger from the provider's bill, for time in which no podctl ran."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from controller.costs.pricing import running_disk_rate
from controller.orphans.sweep import OrphanPod
from controller.providers.base import BillingRecord, Pod, PodStatus
from state.interval import MS_PER_HOUR, SCALE, Interval, milliseconds, nano_per_hour, new_interval
from state.ledger import Ledger

RESTARTED = 1800.0  # seconds from creation to start: more than a slow image takes
NOBODY = "import"  # the stage of a pod of which only the bill and its host key are left


@dataclass(frozen=True)
class Attribution:
    """What a pod worked for, as far as it is known."""

    stage: str
    run: str | None = None
    lease: str = NOBODY


def post(
    ledger: Ledger, pod: Pod, orphan: OrphanPod, bill: Iterable[BillingRecord], now: float
) -> None:
    """Write down until `now` what a pod cost that no run followed. Again: from where that ended.

    What it cost before its present rates held, all of it once it is stopped, only the bill knows.
    """
    if ledger.close_all(pod.id, now, "gc"):
        return
    served = Attribution(orphan.stage or "gc", None, orphan.lease or "gc")
    booked = ledger.intervals(pod_id=pod.id)
    created = pod.created_at or pod.started_at or now
    begin = min(now, max((interval.ended_at or 0.0 for interval in booked), default=created))
    since = min(now, max(begin, billing_since(pod, now)))
    before = _before(pod, booked, bill, now - since)
    present = [
        _interval(pod.id, served, kind, nano_per_hour(rate), (since, now), "gc")
        for kind, rate in _rates(pod).items()
        if rate > 0 and since < now
    ]
    ledger.record([*_spread(pod.id, served, before, (begin, since)), *present])


def interrupted(pod: Pod, now: float) -> bool:
    """Whether the present rates do not hold from the creation on: the bill is needed."""
    return billing_since(pod, now) > (pod.created_at or now)


def _before(
    pod: Pod, booked: Iterable[Interval], bill: Iterable[BillingRecord], seconds: float
) -> dict[str, float]:
    """What is billed beyond what is booked and the last `seconds` at the present rates."""
    usd = _sums(record for record in bill if record.pod_id == pod.id)
    for interval in booked:
        if interval.kind != "network-volume":  # on the account's bill, not the pod's
            kind = "compute" if interval.kind == "compute" else "disk"
            usd[kind] -= interval.amount(0) / SCALE
    return {kind: usd[kind] - rate * seconds / 3600 for kind, rate in _rates(pod).items()}


def _rates(pod: Pod) -> dict[str, float]:
    """USD per hour of a running pod."""
    return {
        "compute": pod.usd_per_hour,
        "disk": running_disk_rate(pod.disk_gb, pod.volume_gb),
    }


def billing_since(pod: Pod, now: float) -> float:
    """From when on the present rates hold: the creation, or the start after it was parked."""
    begin = pod.created_at or pod.started_at or now
    if pod.status is PodStatus.EXITED:
        return now
    if pod.started_at is not None and pod.started_at - begin > RESTARTED:
        return pod.started_at
    return min(begin, now)


def backfill_previous(
    ledger: Ledger, pod: Pod, served: Attribution, bill: Iterable[BillingRecord], now: float
) -> None:
    """Earlier lives of a living pod: what was billed beyond its present one. Once."""
    since = billing_since(pod, now)
    begin = pod.created_at or since
    if since <= begin or ledger.intervals(pod_id=pod.id):
        return
    ledger.record(_spread(pod.id, served, _before(pod, (), bill, now - since), (begin, since)))


def backfill_terminated(
    ledger: Ledger, known: Mapping[str, Attribution], bill: Iterable[BillingRecord]
) -> tuple[str, ...]:
    """Pods of ours that are gone and that the ledger does not have; returns them."""
    rows: dict[str, list[BillingRecord]] = {}
    for record in bill:
        if record.pod_id in known and not ledger.intervals(pod_id=record.pod_id):
            rows.setdefault(record.pod_id, []).append(record)
    for pod, found in rows.items():
        span = (min(charge.start for charge in found), max(charge.end for charge in found))
        ledger.record(_spread(pod, known[pod], _sums(found), span))
    return tuple(rows)


def close_terminated(ledger: Ledger, gone: str, bill: Iterable[BillingRecord], now: float) -> None:
    """End what an old copy still has open of a pod that is gone: when its bill ended."""
    compute = [interval for interval in ledger.intervals(pod_id=gone) if interval.kind == "compute"]
    last = next((interval for interval in compute if interval.open), None)
    billed = _sums(record for record in bill if record.pod_id == gone)["compute"]
    if last is None or last.nano_per_hour <= 0 or billed <= 0:
        return  # the loop ends it, by what it sees
    booked = sum(interval.amount(0) for interval in compute if not interval.open) / SCALE
    hours = max(0.0, billed - booked) / last.usd_per_hour
    ledger.close_all(gone, min(now, last.started_at + hours * 3600), "bill")


def _sums(bill: Iterable[BillingRecord]) -> dict[str, float]:
    found = {"compute": 0.0, "disk": 0.0}
    for record in bill:
        found["compute"] += record.compute_usd
        found["disk"] += record.disk_usd
    return found


def _spread(
    pod: str, served: Attribution, usd: Mapping[str, float], span: tuple[float, float]
) -> list[Interval]:
    """Sums as intervals over `span`: the amounts are the bill's, the rates are averages."""
    ms = milliseconds(span[1]) - milliseconds(span[0])
    return [
        _interval(pod, served, kind, round(amount * 1e9 * MS_PER_HOUR / ms), span, "bill")
        for kind, amount in usd.items()
        if amount > 0 and ms > 0
    ]


def _interval(
    pod: str, served: Attribution, kind: str, nano: int, span: tuple[float, float], source: str
) -> Interval:
    return new_interval(
        pod_id=pod,
        lease=served.lease,
        run=served.run,
        stage=served.stage,
        kind=kind,
        nano_per_hour=nano,
        rate_source="provider" if kind == "compute" else "list-price",
        started_ms=milliseconds(span[0]),
        ended_ms=milliseconds(span[1]),
        end_source=source,
    )
