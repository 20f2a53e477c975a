"""The last known status of each pod and run, with its source and time.

A cache, not a record: any process may overwrite it, and losing it does no harm.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from state.contention import retried
from state.database import unfenced
from state.redaction import masked
from state.sqlite_errors import translated


@dataclass(frozen=True)
class LastSeenRecord:
    subject: str  # "pod:<id>" | "run:<id>"
    source: str  # who reported it: "provider", "agent"
    at: float  # Unix seconds
    data: dict[str, Any]


@retried
@dataclass(frozen=True)
class LastSeen:
    connection: sqlite3.Connection
    clock: Callable[[], float] = time.time

    def see(self, subject: str, source: str, data: Mapping[str, object]) -> None:
        """Store `data` as the newest status of `subject`; secrets are masked."""
        with unfenced(self.connection):
            self.connection.execute(
                "INSERT INTO sighting (subject, source, at, data) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (subject) DO UPDATE SET"
                " source = excluded.source, at = excluded.at, data = excluded.data",
                (subject, source, self.clock(), masked(data)),
            )

    def last(self, subject: str) -> LastSeenRecord | None:
        with translated():
            row = self.connection.execute(
                "SELECT subject, source, at, data FROM sighting WHERE subject = ?", (subject,)
            ).fetchone()
        return _sighting(*row) if row else None

    def of(self, subjects: Iterable[str]) -> dict[str, LastSeenRecord]:
        """The newest record of each of `subjects`; those without one are left out."""
        records = {subject: self.last(subject) for subject in subjects}
        return {subject: record for subject, record in records.items() if record is not None}

    def all(self, prefix: str = "") -> tuple[LastSeenRecord, ...]:
        """Every subject that starts with `prefix`, such as "pod:"."""
        with translated():
            rows = self.connection.execute(
                "SELECT subject, source, at, data FROM sighting"
                " WHERE substr(subject, 1, length(?1)) = ?1 ORDER BY subject",
                (prefix,),
            ).fetchall()
        return tuple(_sighting(*row) for row in rows)


def _sighting(subject: str, source: str, at: float, data: str) -> LastSeenRecord:
    return LastSeenRecord(subject, source, at, json.loads(data))
