"""Computes costs from billing intervals. Pure; nothing is rounded.

Rates are constant within an interval, so a bill is a sum of rate times overlap. A GB-month is 730
hours, as in the published hourly prices.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from controller.providers.emulator.records import Interval

MONTH_HOURS = 730.0
DISK_USD_PER_GB_MONTH = 0.10  # container disk, and a volume while its pod runs
PARKED_USD_PER_GB_MONTH = 0.20  # a volume while its pod is stopped
NETWORK_USD_PER_GB_MONTH = 0.07
NETWORK_BULK_USD_PER_GB_MONTH = 0.05  # beyond the first 1,000 GB

BUCKETS = ("hour", "day", "week", "month", "year")


def storage_rate(gigabytes: float, usd_per_gb_month: float) -> float:
    """USD per hour of `gigabytes` of storage."""
    return gigabytes * usd_per_gb_month / MONTH_HOURS


def network_rate(gigabytes: float) -> float:
    """USD per hour of a network volume."""
    bulk = max(0.0, gigabytes - 1000)
    return storage_rate(gigabytes - bulk, NETWORK_USD_PER_GB_MONTH) + storage_rate(
        bulk, NETWORK_BULK_USD_PER_GB_MONTH
    )


def cost(interval: Interval, start: float, end: float) -> float:
    """USD that `interval` costs within [start, end); an open interval costs until `end`."""
    until = end if interval.end is None else min(interval.end, end)
    return max(0.0, until - max(interval.start, start)) * interval.usd_per_hour / 3600


def total(intervals: Iterable[Interval], now: float) -> float:
    return sum(cost(interval, 0.0, now) for interval in intervals)


@dataclass(frozen=True)
class Amounts:
    """USD by kind of resource."""

    gpu: float = 0.0
    cpu: float = 0.0
    disk: float = 0.0
    network: float = 0.0

    @property
    def total(self) -> float:
        return self.gpu + self.cpu + self.disk + self.network

    def plus(self, kind: str, dollars: float) -> Amounts:
        name = "disk" if kind == "volume" else kind
        return replace(self, **{name: getattr(self, name) + dollars})


@dataclass(frozen=True)
class Bucket:
    """The cost of one owner between two times (Unix seconds); `owner` "" means all owners."""

    start: float
    end: float
    owner: str
    amounts: Amounts


def edges(start: float, end: float, size: str) -> list[float]:
    """Bucket boundaries that cover [start, end), snapped outward, UTC."""
    moment = floor(datetime.fromtimestamp(start, UTC), size)
    bounds = [moment.timestamp()]
    while bounds[-1] < end or len(bounds) == 1:
        moment = following(moment, size)
        bounds.append(moment.timestamp())
    return bounds


def floor(moment: datetime, size: str) -> datetime:
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if size == "hour":
        return moment.replace(minute=0, second=0, microsecond=0)
    if size == "week":
        return day - timedelta(days=day.weekday())
    if size == "month":
        return day.replace(day=1)
    return day.replace(month=1, day=1) if size == "year" else day


def following(moment: datetime, size: str) -> datetime:
    """The start of the bucket after the one that begins at `moment`."""
    if size == "month":
        return (moment.replace(day=28) + timedelta(days=4)).replace(day=1)
    if size == "year":
        return moment.replace(year=moment.year + 1)
    return moment + {"hour": timedelta(hours=1), "day": timedelta(days=1)}.get(
        size, timedelta(days=7)
    )


def earlier(end_bucket: datetime, size: str, count: int) -> datetime:
    """The start of the bucket `count - 1` before the one that begins at `end_bucket`."""
    moment = end_bucket
    for _ in range(count - 1):
        moment = floor(moment - timedelta(seconds=1), size)
    return moment


def buckets(
    intervals: Iterable[Interval], bounds: list[float], now: float, *, by_owner: bool = True
) -> list[Bucket]:
    """Every non-empty bucket, oldest first. Nothing bills after `now`."""
    amounts: dict[tuple[float, float, str], Amounts] = {}
    for interval in intervals:
        until = now if interval.end is None else min(interval.end, now)
        first_bucket = max(0, bisect_right(bounds, interval.start) - 1)
        for start, end in pairwise(bounds[first_bucket:]):
            if until <= start:
                break
            if interval.start >= end:
                continue
            key = (start, end, interval.owner if by_owner else "")
            dollars = cost(interval, start, min(end, now))
            amounts[key] = amounts.get(key, Amounts()).plus(interval.kind, dollars)
    return [Bucket(*key, amounts[key]) for key in sorted(amounts)]


def summed(buckets: Iterable[Bucket]) -> Amounts:
    total = Amounts()
    for interval in buckets:
        for kind in ("gpu", "cpu", "disk", "network"):
            total = total.plus(kind, getattr(interval.amounts, kind))
    return total
