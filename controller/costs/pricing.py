"""Prices of pods and disks: spent, expected and worst-case cost. Pure.

Amounts that come from the ledger are exact integers until the last step; estimates are floats.
Rates are USD per hour, durations hours unless the name says otherwise.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from state.interval import SCALE, Interval, Total, milliseconds

# RunPod's published storage prices, USD per GB and month (docs: pods/pricing). A stopped pod's
# container disk is wiped and free; its volume costs double.
HOURS_PER_MONTH = 730.0
CONTAINER_DISK_USD_GB_MONTH = 0.10  # a running pod's
VOLUME_USD_GB_MONTH = 0.10  # while its pod runs
PARKED_USD_GB_MONTH = 0.20  # the volume while its pod is stopped
NETWORK_USD_GB_MONTH = 0.07  # a network volume, pod or no pod
NETWORK_BULK_USD_GB_MONTH = 0.05  # what lies beyond the first 1,000 GB of it
NETWORK_BULK_GB = 1000.0

PODS_PAID = 2.0  # pods' worst cases that one lease may cost at most
BALANCE_MARGIN = 1.5  # times the worst case that the balance must cover
PROBE_STEPS = 20  # of a job, or a quarter of fewer, after which its own pace counts
MIN_SHOWN_USD = 0.005  # smaller amounts are shown as $0.00, so they are left out
GUARD_SLACK_HOURS = 20 / 60  # the guard's own retries, when the provider does not take the stop


def disk_usd_per_hour(gigabytes: float, usd_gb_month: float) -> float:
    return gigabytes * usd_gb_month / HOURS_PER_MONTH


def running_disk_rate(disk_gb: float, volume_gb: float) -> float:
    """Container disk and volume of a running pod."""
    return disk_usd_per_hour(disk_gb, CONTAINER_DISK_USD_GB_MONTH) + disk_usd_per_hour(
        volume_gb, VOLUME_USD_GB_MONTH
    )


def parked_disk_rate(volume_gb: float) -> float:
    """The volume of a stopped pod."""
    return disk_usd_per_hour(volume_gb, PARKED_USD_GB_MONTH)


def parked_usd_per_day(volume_gb: float) -> float:
    return parked_disk_rate(volume_gb) * 24


def network_volume_rate(gigabytes: float) -> float:
    """A standard network volume, which bills whether or not a pod is attached."""
    bulk = max(0.0, gigabytes - NETWORK_BULK_GB)
    return disk_usd_per_hour(gigabytes - bulk, NETWORK_USD_GB_MONTH) + disk_usd_per_hour(
        bulk, NETWORK_BULK_USD_GB_MONTH
    )


@dataclass(frozen=True)
class WorstCase:
    """The most one pod can cost before its guard has stopped it; then its volume bills on."""

    hours: float
    compute_usd: float
    disk_usd: float
    parked_usd_per_day: float

    @property
    def usd(self) -> float:
        return self.compute_usd + self.disk_usd


def worst_case(
    *,
    boot_seconds: float,
    hard_cap_seconds: float,
    usd_per_hour: float,
    disk_gb: float = 0.0,
    volume_gb: float = 0.0,
) -> WorstCase:
    """Until the guard's hard cap, which holds whatever else happens, and the guard's own retries.

    The cap counts all the starts of a container that nobody visits as one, where a volume keeps the
    count. The image pull before it is counted as billing for as long as anybody waits for it.
    """
    hours = (boot_seconds + hard_cap_seconds) / 3600 + GUARD_SLACK_HOURS
    return WorstCase(
        hours=hours,
        compute_usd=hours * usd_per_hour,
        disk_usd=hours * running_disk_rate(disk_gb, volume_gb),
        parked_usd_per_day=parked_usd_per_day(volume_gb),
    )


def expected_usd(
    hours: float, usd_per_hour: float, disk_gb: float = 0.0, volume_gb: float = 0.0
) -> float:
    """Expected USD of a stage of `hours` at `usd_per_hour`, with its disks in GB."""
    return hours * (usd_per_hour + running_disk_rate(disk_gb, volume_gb))


def probed(step: int | None, max_steps: int | None) -> bool:
    """Whether a job's pace is known well enough to correct what was expected of it."""
    if not step or not max_steps or step < 0 or max_steps < 0:
        return False
    return step >= min(PROBE_STEPS, max_steps / 4)


def remaining_hours(step: int | None, max_steps: int | None, elapsed: float) -> float | None:
    """From measured progress: `elapsed` hours for `step` of `max_steps`. None when unknown."""
    if not step or not max_steps or not probed(step, max_steps) or elapsed <= 0:
        return None
    return elapsed * max(0, max_steps - step) / step


def totals(intervals: Iterable[Interval], now: float, by: str) -> tuple[Total, ...]:
    """The sums per `by` ("stage", "pod" or "run"), stage and kind, as the ledger gives them."""
    now_ms = milliseconds(now)
    sums: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    for interval in intervals:
        subject = {"stage": interval.stage, "pod": interval.pod_id, "run": interval.run}[by]
        if subject is not None:
            total = sums[(subject, interval.stage, interval.kind)]
            total[0] += interval.duration_ms(now_ms)
            total[1] += interval.amount(now_ms)
            total[2] += interval.nano_per_hour if interval.open else 0
    return tuple(Total(*key, *values) for key, values in sorted(sums.items()))


@dataclass(frozen=True)
class Spending:
    """What one subject (a stage, a pod, a run, everything) cost until now."""

    subject: str
    hours: float  # of compute
    compute_usd: float
    storage_usd: float
    usd_per_hour_now: float  # everything that bills now
    parked_usd_per_day: float  # what stopped pods and volumes go on costing
    usd: float  # exact, not the sum of the rounded parts


def spending(totals: Iterable[Total], subject: str = "total") -> Spending:
    """Sum `totals` into one `Spending`."""
    rows = tuple(totals)
    compute = [row for row in rows if row.kind == "compute"]
    storage = [row for row in rows if row.kind != "compute"]
    idle = [row for row in storage if row.kind != "disk"]
    return Spending(
        subject=subject,
        hours=sum(row.duration_ms for row in compute) / 3_600_000,
        compute_usd=sum(row.amount for row in compute) / SCALE,
        storage_usd=sum(row.amount for row in storage) / SCALE,
        usd_per_hour_now=sum(row.usd_per_hour_now for row in rows),
        parked_usd_per_day=24 * sum(row.usd_per_hour_now for row in idle),
        usd=sum(row.amount for row in rows) / SCALE,
    )


def spending_by_subject(totals: Iterable[Total]) -> tuple[Spending, ...]:
    """One `Spending` for each subject, sorted by name."""
    groups: dict[str, list[Total]] = defaultdict(list)
    for row in totals:
        groups[row.subject].append(row)
    return tuple(spending(rows, subject) for subject, rows in sorted(groups.items()))


@dataclass(frozen=True)
class Forecast:
    """What is known about a stage's cost ahead of its end."""

    hours: float  # by its definition
    usd_per_hour: float | None  # compute rate of its pod, or of the offer it would take
    disk_gb: float = 0.0
    volume_gb: float = 0.0
    remaining_hours: float | None = None  # measured, while it runs
    finished: bool = False  # locked: nothing more is spent on it
    phased: bool = False  # the job counts the steps of each of its phases apart


def estimate_usd(forecast: Forecast, spent_usd: float) -> float | None:
    """The stage's whole cost: what it cost once locked, else spent plus the rest; None: no rate.

    Before any progress is measured the definition's hours stand, and never less than was spent.
    """
    if forecast.finished:
        return spent_usd
    if forecast.usd_per_hour is None:
        return None
    sizes = (forecast.disk_gb, forecast.volume_gb)
    planned = expected_usd(forecast.hours, forecast.usd_per_hour, *sizes)
    if forecast.remaining_hours is None:
        return max(spent_usd, planned)
    left = expected_usd(forecast.remaining_hours, forecast.usd_per_hour, *sizes)
    return max(spent_usd + left, planned if forecast.phased else 0.0)


@dataclass(frozen=True)
class Budget:
    """Limits in USD; None means no limit."""

    project_usd: float | None
    run_usd: float | None

    def left(self, spent_usd: float) -> float | None:
        """USD that the project may still spend; negative when over budget."""
        return None if self.project_usd is None else self.project_usd - spent_usd

    def lease_limit_usd(self, worst: WorstCase, spent_usd: float) -> float:
        """What one lease may cost in all: two pods' worst cases, or less where a limit is lower.

        The second pod's is for those that are given back before and for starts after a failure:
        another one begins only while the sum holds.
        """
        limits = [limit for limit in (self.run_usd, self.left(spent_usd)) if limit is not None]
        return max(worst.usd, min([PODS_PAID * worst.usd, *limits]))


@dataclass(frozen=True)
class Reserved:
    """What the other open leases of the project may still cost, in USD."""

    lease_usd: float = 0.0  # with their replacement pods: taken from the budget
    pod_usd: float = 0.0  # each with one pod: taken from the balance


NOTHING_RESERVED = Reserved()


def refusal(
    worst: WorstCase,
    budget: Budget,
    spent_usd: float,
    balance: float | None,
    reserved: Reserved = NOTHING_RESERVED,
) -> str:
    """Why a rental with this worst case is refused; empty when it is allowed.

    At a balance of zero the provider deletes pods with their disks, hence the margin of half.
    """
    left = budget.left(spent_usd + reserved.lease_usd)
    own = f"the worst case of ${worst.usd:.2f}"
    if budget.run_usd is not None and worst.usd > budget.run_usd:
        return f"{own} is over the run's budget ${budget.run_usd:.2f}"
    if left is not None and worst.usd > left:
        held = f" (${reserved.lease_usd:.2f} more are reserved for open runs)"
        aside = held if reserved.lease_usd >= MIN_SHOWN_USD else ""
        return f"{own} is over the ${max(0.0, left):.2f} left of the budget{aside}"
    if balance is not None and balance < BALANCE_MARGIN * (worst.usd + reserved.pod_usd):
        held = f"the ${reserved.pod_usd:.2f} that open runs may still cost and "
        aside = held if reserved.pod_usd >= MIN_SHOWN_USD else ""
        return f"the balance of ${balance:.2f} is under {BALANCE_MARGIN} times {aside}{own}"
    return ""


@dataclass(frozen=True)
class Difference:
    """The ledger against the provider's bill, for one pod."""

    pod_id: str
    ledger_usd: float
    billed_usd: float
    agrees: bool
    whose: str = "ours"  # else why a pod that only the bill knows may be ours

    @property
    def usd(self) -> float:
        return self.ledger_usd - self.billed_usd


def reconcile(
    ledger_by_pod: Mapping[str, float],
    billing_by_pod: Mapping[str, float],
    tolerance_usd: float = 0.01,
) -> tuple[Difference, ...]:
    """One row for every pod that either side knows, the largest difference first."""
    rows = []
    for pod_id in ledger_by_pod.keys() | billing_by_pod.keys():
        booked, billed = ledger_by_pod.get(pod_id, 0.0), billing_by_pod.get(pod_id, 0.0)
        rows.append(Difference(pod_id, booked, billed, abs(booked - billed) <= tolerance_usd))
    return tuple(sorted(rows, key=lambda row: (-abs(row.usd), row.pod_id)))
