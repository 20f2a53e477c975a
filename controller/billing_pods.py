"""What bills on when a command waits or ends: pods with their price, by the ledger here.

Asks nobody, never fails, and reads past whoever holds the database: it is told, not worked with.
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
    """Of open intervals: what each pod costs an hour now."""
    found: dict[str, float] = {}
    for one in intervals:
        found[one.pod_id] = found.get(one.pod_id, 0.0) + one.usd_per_hour
    return found


def in_words(rates: Rates) -> str:
    """Empty where nothing bills."""
    pods = ", ".join(f"pod {pod} ${rate:.4f}/h" for pod, rate in sorted(rates.items()))
    return f"billing goes on: {pods}" if pods else ""


@dataclass
class BillingPods:
    """Of the command that goes on here. `driven`: it may leave pods behind that bill."""

    database: Path | None = None
    driven: bool = False
    unwritten: dict[str, float] = field(default_factory=dict)  # rented, and not in the ledger yet
    told: str = ""  # by the error that the command ends with

    def drive(self, database: Path) -> None:
        self.database, self.driven = database, True

    def rates(self) -> dict[str, float] | None:
        """By pod, USD per hour; None where it cannot be known."""
        known = self._ledger()
        return None if known is None and not self.unwritten else (known or {}) | self.unwritten

    def _ledger(self) -> dict[str, float] | None:
        from state.errors import StateError
        from state.ledger import Ledger
        from state.read_only import glimpse

        if self.database is None or not self.database.exists():
            return None if self.database is None else {}
        try:
            connection = glimpse(self.database)
            try:
                return rates_of(Ledger(connection).intervals(open_only=True))
            finally:
                connection.close()
        except StateError:
            return None

    def untold(self) -> str:
        """What bills, where the error did not say it."""
        rates = self.rates()
        if rates and all(pod in self.told and f"${rates[pod]:.4f}/h" in self.told for pod in rates):
            return ""
        return self.words()

    def words(self) -> str:
        """What bills; that it is not known; or nothing."""
        rates = self.rates()
        if rates is None:
            return "what runs on pods goes on, and bills"
        return in_words(rates)
