"""Exact integer arithmetic of billed intervals: the ledger's rows and sums as values.

An amount is an integer count of 1/3_600_000 nano-dollars: one nano-dollar an hour for one
millisecond. Sums of such integers are exact, in any order.
"""

from __future__ import annotations

from dataclasses import dataclass

NANO = 1_000_000_000  # nano-dollars in a dollar
MS_PER_HOUR = 3_600_000
SCALE = NANO * MS_PER_HOUR  # units of an amount in a dollar

KINDS = ("compute", "disk", "parked-disk", "network-volume")


def nano_per_hour(usd_per_hour: float) -> int:
    return round(usd_per_hour * NANO)


def milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


@dataclass(frozen=True)
class Interval:
    """A pod (or network volume) billed at one rate for one stage; open while `ended_ms` is None."""

    id: int
    pod_id: str
    lease: str
    run: str | None
    stage: str
    kind: str  # one of KINDS
    nano_per_hour: int
    rate_source: str  # offer | provider | list-price
    started_ms: int  # Unix milliseconds
    ended_ms: int | None
    end_source: str | None

    @property
    def open(self) -> bool:
        return self.ended_ms is None

    @property
    def usd_per_hour(self) -> float:
        return self.nano_per_hour / NANO

    @property
    def started_at(self) -> float:
        return self.started_ms / 1000

    @property
    def ended_at(self) -> float | None:
        return None if self.ended_ms is None else self.ended_ms / 1000

    def duration_ms(self, now_ms: int) -> int:
        end = now_ms if self.ended_ms is None else self.ended_ms
        return max(0, end - self.started_ms)

    def amount(self, now_ms: int) -> int:
        """Its cost until `now_ms` (Unix ms), in units of 1/SCALE dollar."""
        return self.duration_ms(now_ms) * self.nano_per_hour


def new_interval(
    *,
    pod_id: str,
    lease: str,
    run: str | None,
    stage: str,
    kind: str,
    nano_per_hour: int,
    rate_source: str,
    started_ms: int,
    ended_ms: int | None = None,
    end_source: str | None = None,
) -> Interval:
    """An interval that is not in the ledger yet; its id is assigned when it is written."""
    return Interval(
        id=0,
        pod_id=pod_id,
        lease=lease,
        run=run,
        stage=stage,
        kind=kind,
        nano_per_hour=nano_per_hour,
        rate_source=rate_source,
        started_ms=started_ms,
        ended_ms=ended_ms,
        end_source=end_source,
    )


@dataclass(frozen=True)
class Total:
    """The sum of one subject's intervals of one kind, open ones counted until now."""

    subject: str  # a stage, a pod or a run
    stage: str
    kind: str
    duration_ms: int
    amount: int  # in units of SCALE per dollar
    nano_per_hour_now: int  # of the open intervals

    @property
    def usd(self) -> float:
        return self.amount / SCALE

    @property
    def hours(self) -> float:
        return self.duration_ms / MS_PER_HOUR

    @property
    def usd_per_hour_now(self) -> float:
        return self.nano_per_hour_now / NANO
