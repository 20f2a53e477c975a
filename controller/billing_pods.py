"""Pods that keep billing when a command waits or ends, with their price, by the local ledger.

It makes no request, never fails, and reads the database without a lock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from state.interval import Interval

Rates = Mapping[str, float]  # by pod, USD per hour


def rates_of(intervals: Iterable[Interval]) -> dict[str, float]:
    """USD per hour of each pod, from open intervals."""
    rates: dict[str, float] = {}
    for interval in intervals:
        rates[interval.pod_id] = rates.get(interval.pod_id, 0.0) + interval.usd_per_hour
    return rates


def in_words(rates: Rates) -> str:
    """The pods with their rates in one line; empty if nothing bills."""
    pods = ", ".join(f"pod {pod} ${rate:.4f}/h" for pod, rate in sorted(rates.items()))
    return f"still billing: {pods}" if pods else ""


def _is_in(text: str, pod: str, usd_per_hour: float) -> bool:
    """Whether `text` tells what the pod bills, by the hour or by the day."""
    return pod in text and (
        f"${usd_per_hour:.4f}/h" in text or f"${24 * usd_per_hour:.2f} a day" in text
    )


@dataclass
class BillingPods:
    """Of the present command. `driven`: it may leave pods behind that bill."""

    database: Path | None = None
    driven: bool = False
    unwritten: dict[str, float] = field(default_factory=dict)  # rented but not yet in the ledger
    reported: str = ""  # text of the error that the command ends with

    def drive(self, database: Path) -> None:
        self.database, self.driven = database, True

    def rates(self) -> dict[str, float] | None:
        """USD per hour by pod; None if unknown."""
        known = self._ledger()
        return None if known is None and not self.unwritten else (known or {}) | self.unwritten

    def _ledger(self) -> dict[str, float] | None:
        from state.errors import StateError
        from state.ledger import Ledger
        from state.read_only import read_snapshot

        if self.database is None or not self.database.exists():
            return None if self.database is None else {}
        try:
            connection = read_snapshot(self.database)
            try:
                return rates_of(Ledger(connection).intervals(open_only=True))
            finally:
                connection.close()
        except StateError:
            return None

    def unreported(self) -> str:
        """What bills, unless the error reported it."""
        rates = self.rates()
        if rates and all(_is_in(self.reported, pod, rate) for pod, rate in rates.items()):
            return ""
        return self.words()

    def words(self) -> str:
        """What bills, or that it is unknown; empty if nothing bills."""
        rates = self.rates()
        if rates is None:
            return "running pods keep running and billing"
        return in_words(rates)
