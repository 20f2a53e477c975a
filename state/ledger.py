"""The ledger: every interval in which a pod or volume billed.

An interval is opened, then closed; nothing is changed or deleted. A new rate or another stage
closes the interval and opens the next at the same millisecond. Triggers maintain the sums, so
reading them takes time in proportion to stages, pods and open intervals, not to rows.
"""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from state.contention import retried
from state.database import READER, writing
from state.errors import StateError
from state.interval import (
    MS_PER_HOUR,
    SCALE,
    Interval,
    Total,
    milliseconds,
    nano_per_hour,
    new_interval,
)
from state.sqlite_errors import translated

_COLUMNS = (
    "id, pod_id, lease, run, stage, kind, nano_per_hour, rate_source,"
    " started_ms, ended_ms, end_source"
)
_INSERT = """
    INSERT INTO interval (pod_id, lease, run, stage, kind, nano_per_hour, rate_source,
        started_ms, ended_ms, end_source)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_SUMS = """
    SELECT subject, stage, kind, sum(ms), sum(nano), sum(rest), sum(rate) FROM (
        SELECT subject, stage, kind, ms, nano, rest, 0 AS rate
        FROM total WHERE scope = :scope AND {closed}
        UNION ALL
        SELECT subject, stage, kind, ms,
            ms / 3600000 * rate + ms % 3600000 * rate / 3600000,
            ms % 3600000 * rate % 3600000,
            rate
        FROM (
            SELECT CASE :scope WHEN 'stage' THEN stage WHEN 'pod' THEN pod_id ELSE run END
                AS subject, stage, kind, max(0, :now - started_ms) AS ms, nano_per_hour AS rate
            FROM interval WHERE ended_ms IS NULL
        ) WHERE {open}
    ) GROUP BY subject, stage, kind ORDER BY subject, stage, kind
"""
_SUMS_OF_ALL = _SUMS.format(closed="TRUE", open="subject IS NOT NULL")
_SUMS_OF_ONE = _SUMS.format(closed="subject = :subject", open="subject = :subject")


@retried
@dataclass(frozen=True)
class Ledger:
    """Always readable. Writes raise Fenced unless `epoch` is the owner's. Times: Unix seconds."""

    connection: sqlite3.Connection
    epoch: int = READER

    def open_interval(
        self,
        *,
        pod_id: str,
        lease: str,
        stage: str,
        kind: str,
        usd_per_hour: float,
        rate_source: str,
        started_at: float,
        run: str | None = None,
    ) -> int:
        """Record that billing of `kind` started, or changed, at `started_at`.

        Idempotent: an open interval with the same content is kept.
        """
        wanted = new_interval(
            pod_id=pod_id,
            lease=lease,
            run=run,
            stage=stage,
            kind=kind,
            nano_per_hour=nano_per_hour(usd_per_hour),
            rate_source=rate_source,
            started_ms=milliseconds(started_at),
        )
        with writing(self.connection, self.epoch):
            return self._replace_interval(self._open(pod_id, kind), wanted, "replaced")

    def close_interval(self, pod_id: str, kind: str, at: float, source: str) -> bool:
        """Close the open interval, not before its start; False if there is none."""
        with writing(self.connection, self.epoch):
            interval = self._open(pod_id, kind)
            if interval:
                self._close(interval, milliseconds(at), source)
        return interval is not None

    def close_all(self, pod_id: str, at: float, source: str) -> int:
        """Close every open interval of the pod; returns their number."""
        with writing(self.connection, self.epoch):
            intervals = self._select("WHERE pod_id = ? AND ended_ms IS NULL", pod_id)
            for interval in intervals:
                self._close(interval, milliseconds(at), source)
        return len(intervals)

    def change_rate(
        self, pod_id: str, kind: str, usd_per_hour: float, rate_source: str, at: float
    ) -> int:
        """Change the price from `at` on. Raises StateError when no interval is open."""
        with writing(self.connection, self.epoch):
            interval = self._open(pod_id, kind)
            if interval is None:
                raise StateError(f"no {kind} of pod {pod_id} is billing")
            wanted = dataclasses.replace(
                interval,
                nano_per_hour=nano_per_hour(usd_per_hour),
                rate_source=rate_source,
                started_ms=milliseconds(at),
            )
            return self._replace_interval(interval, wanted, "rate")

    def attribute(self, pod_id: str, run: str | None, stage: str, at: float) -> int:
        """Charge the pod to `run` of `stage` from `at` on; returns the number of open intervals."""
        with writing(self.connection, self.epoch):
            intervals = self._select("WHERE pod_id = ? AND ended_ms IS NULL", pod_id)
            for interval in intervals:
                wanted = dataclasses.replace(
                    interval, run=run, stage=stage, started_ms=milliseconds(at)
                )
                self._replace_interval(interval, wanted, "stage")
        return len(intervals)

    def record(self, intervals: Iterable[Interval]) -> int:
        """Add closed intervals that were not followed as they happened; their ids are ignored."""
        with writing(self.connection, self.epoch):
            return self.connection.executemany(_INSERT, map(_closed, intervals)).rowcount

    def intervals(
        self,
        *,
        pod_id: str | None = None,
        stage: str | None = None,
        run: str | None = None,
        open_only: bool = False,
    ) -> tuple[Interval, ...]:
        """The intervals that meet every given condition, oldest first."""
        conditions = {"pod_id = ?": pod_id, "stage = ?": stage, "run = ?": run}
        chosen = {text: value for text, value in conditions.items() if value is not None}
        clauses = [*chosen, *(["ended_ms IS NULL"] if open_only else [])]
        where = f"WHERE {' AND '.join(clauses)} " if clauses else ""
        # Few are open: their index serves, and not the order in which the rows lie.
        order = "ORDER BY +id" if open_only else "ORDER BY id"
        return self._select(where + order, *chosen.values())

    def began(self) -> float | None:
        """When the first interval began, Unix seconds; None when there is none. Reads all rows."""
        with translated():
            (first,) = self.connection.execute("SELECT min(started_ms) FROM interval").fetchone()
        return None if first is None else first / 1000

    def by_stage(self, now: float) -> tuple[Total, ...]:
        """Sums per stage and kind, open intervals counted until `now`."""
        return self._totals("stage", now)

    def by_pod(self, now: float, pod_id: str | None = None) -> tuple[Total, ...]:
        """Sums per pod, stage and kind, of one pod or of all."""
        return self._totals("pod", now, pod_id)

    def by_run(self, now: float, run: str | None = None) -> tuple[Total, ...]:
        """Sums per run and kind; what belongs to no run is left out."""
        return self._totals("run", now, run)

    def spent(self, now: float, *, run: str | None = None) -> float:
        """US dollars so far, of everything or of one run."""
        totals = self.by_stage(now) if run is None else self.by_run(now, run)
        return sum(total.amount for total in totals) / SCALE

    def _totals(self, scope: str, now: float, subject: str | None = None) -> tuple[Total, ...]:
        values = {"scope": scope, "now": milliseconds(now), "subject": subject}
        query = _SUMS_OF_ALL if subject is None else _SUMS_OF_ONE
        with translated():
            rows = self.connection.execute(query, values).fetchall()
        return tuple(
            Total(name, stage, kind, ms, nano * MS_PER_HOUR + rest, rate)
            for name, stage, kind, ms, nano, rest, rate in rows
        )

    def _replace_interval(self, current: Interval | None, wanted: Interval, source: str) -> int:
        """Replace the open interval by `wanted` from its start on, unless both are equal."""
        if current is not None:
            same = dataclasses.replace(wanted, id=current.id, started_ms=current.started_ms)
            if same == current:
                return current.id
            self._close(current, wanted.started_ms, source)
            start = max(wanted.started_ms, current.started_ms)
            wanted = dataclasses.replace(wanted, started_ms=start)
        return self._insert(wanted)

    def _insert(self, interval: Interval) -> int:
        return int(self.connection.execute(_INSERT, _values(interval)).lastrowid or 0)

    def _close(self, interval: Interval, at_ms: int, source: str) -> None:
        self.connection.execute(
            "UPDATE interval SET ended_ms = ?, end_source = ? WHERE id = ?",
            (max(at_ms, interval.started_ms), source, interval.id),
        )

    def _open(self, pod_id: str, kind: str) -> Interval | None:
        intervals = self._select("WHERE pod_id = ? AND kind = ? AND ended_ms IS NULL", pod_id, kind)
        return intervals[0] if intervals else None

    def _select(self, where: str, *values: object) -> tuple[Interval, ...]:
        with translated():
            rows = self.connection.execute(
                f"SELECT {_COLUMNS} FROM interval {where}",  # noqa: S608 - fixed texts above
                values,
            ).fetchall()
        return tuple(Interval(*row) for row in rows)


def _values(interval: Interval) -> tuple[str | int | None, ...]:
    return (
        interval.pod_id,
        interval.lease,
        interval.run,
        interval.stage,
        interval.kind,
        interval.nano_per_hour,
        interval.rate_source,
        interval.started_ms,
        interval.ended_ms,
        interval.end_source,
    )


def _closed(interval: Interval) -> tuple[str | int | None, ...]:
    if interval.ended_ms is None:
        raise StateError("only a closed interval can be recorded afterwards")
    return _values(interval)
