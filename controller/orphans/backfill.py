"""Back-fills the ledger from the provider's bill, for time in which podctl did not run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from controller.costs.pricing import running_disk_rate
from controller.orphans.sweep import OrphanPod
from controller.providers.base import BillingRecord, Pod, PodStatus
from state.interval import MS_PER_HOUR, SCALE, Interval, milliseconds, nano_per_hour, new_interval
from state.ledger import Ledger

RESTARTED = 1800.0  # seconds from creation to start: longer than a slow image takes
IMPORTED = "import"  # lease of a pod of which only the bill and the host key are left


@dataclass(frozen=True)
class Attribution:
    """The stage, run and lease that a pod's cost is attributed to, as far as known."""

    stage: str
    run: str | None = None
    lease: str = IMPORTED


def post(
    ledger: Ledger, pod: Pod, orphan: OrphanPod, bill: Iterable[BillingRecord], now: float
) -> None:
    """Record the cost until `now` of a pod that no run owns, from the end of its last record on.

    The bill gives the cost before the current rates applied; for a stopped pod, the entire cost.
    """
    if ledger.close_all(pod.id, now, "gc"):
        return
    attribution = Attribution(orphan.stage or "gc", None, orphan.lease or "gc")
    recorded = ledger.intervals(pod_id=pod.id)
    created = pod.created_at or pod.started_at or now
    start = min(now, max((interval.ended_at or 0.0 for interval in recorded), default=created))
    rates_since = min(now, max(start, billing_since(pod, now)))
    earlier = _before(pod, recorded, bill, now - rates_since)
    current = [
        _interval(pod.id, attribution, kind, nano_per_hour(rate), (rates_since, now), "gc")
        for kind, rate in _rates(pod).items()
        if rate > 0 and rates_since < now
    ]
    ledger.record([*_spread(pod.id, attribution, earlier, (start, rates_since)), *current])


def interrupted(pod: Pod, now: float) -> bool:
    """Whether the current rates do not apply from the creation on, so that the bill is needed."""
    return billing_since(pod, now) > (pod.created_at or now)


def _before(
    pod: Pod, recorded: Iterable[Interval], bill: Iterable[BillingRecord], seconds: float
) -> dict[str, float]:
    """USD billed beyond the recorded intervals and the last `seconds` at the current rates."""
    usd = _sums(record for record in bill if record.pod_id == pod.id)
    for interval in recorded:
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
    """Unix time from which the current rates apply: the creation, or the restart after parking."""
    start = pod.created_at or pod.started_at or now
    if pod.status is PodStatus.EXITED:
        return now
    if pod.started_at is not None and pod.started_at - start > RESTARTED:
        return pod.started_at
    return min(start, now)


def backfill_previous(
    ledger: Ledger, pod: Pod, attribution: Attribution, bill: Iterable[BillingRecord], now: float
) -> None:
    """Record what was billed for a listed pod before its current start, unless that was done."""
    since = billing_since(pod, now)
    start = pod.created_at or since
    if since <= start or ledger.intervals(pod_id=pod.id):
        return
    ledger.record(_spread(pod.id, attribution, _before(pod, (), bill, now - since), (start, since)))


def backfill_terminated(
    ledger: Ledger, attributions: Mapping[str, Attribution], bill: Iterable[BillingRecord]
) -> tuple[str, ...]:
    """Record the cost of terminated pods in `attributions` that the ledger lacks; returns them."""
    by_pod: dict[str, list[BillingRecord]] = {}
    for record in bill:
        if record.pod_id in attributions and not ledger.intervals(pod_id=record.pod_id):
            by_pod.setdefault(record.pod_id, []).append(record)
    for pod, records in by_pod.items():
        span = (min(charge.start for charge in records), max(charge.end for charge in records))
        ledger.record(_spread(pod, attributions[pod], _sums(records), span))
    return tuple(by_pod)


def close_terminated(
    ledger: Ledger, pod_id: str, bill: Iterable[BillingRecord], now: float
) -> None:
    """Close the open intervals of a terminated pod at the time when its bill ended."""
    compute = [
        interval for interval in ledger.intervals(pod_id=pod_id) if interval.kind == "compute"
    ]
    open_interval = next((interval for interval in compute if interval.open), None)
    billed = _sums(record for record in bill if record.pod_id == pod_id)["compute"]
    if open_interval is None or open_interval.nano_per_hour <= 0 or billed <= 0:
        return  # the loop closes it by what it observes
    recorded = sum(interval.amount(0) for interval in compute if not interval.open) / SCALE
    hours = max(0.0, billed - recorded) / open_interval.usd_per_hour
    ledger.close_all(pod_id, min(now, open_interval.started_at + hours * 3600), "bill")


def _sums(bill: Iterable[BillingRecord]) -> dict[str, float]:
    usd = {"compute": 0.0, "disk": 0.0}
    for record in bill:
        usd["compute"] += record.compute_usd
        usd["disk"] += record.disk_usd
    return usd


def _spread(
    pod: str, attribution: Attribution, usd: Mapping[str, float], span: tuple[float, float]
) -> list[Interval]:
    """Intervals over `span` with the billed amounts (USD) at average rates."""
    ms = milliseconds(span[1]) - milliseconds(span[0])
    return [
        _interval(pod, attribution, kind, round(amount * 1e9 * MS_PER_HOUR / ms), span, "bill")
        for kind, amount in usd.items()
        if amount > 0 and ms > 0
    ]


def _interval(
    pod: str, attribution: Attribution, kind: str, nano: int, span: tuple[float, float], source: str
) -> Interval:
    return new_interval(
        pod_id=pod,
        lease=attribution.lease,
        run=attribution.run,
        stage=attribution.stage,
        kind=kind,
        nano_per_hour=nano,
        rate_source="provider" if kind == "compute" else "list-price",
        started_ms=milliseconds(span[0]),
        ended_ms=milliseconds(span[1]),
        end_source=source,
    )
