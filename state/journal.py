"""The append-only journal of leases, runs, intents and outcomes.

A lease is open until the provider confirms that nothing of it bills. A run is one attempt at a
stage on a lease. An op is an intent, its single outcome, or a note. A crash leaves an intent
without an outcome (`pending`): the provider must be asked what happened before the next action.
"""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from state.contention import retried
from state.database import READER, writing
from state.errors import StateError
from state.journal_rows import Lease, Op, Run
from state.redaction import encoded, masked
from state.sqlite_errors import damaged, translated

Data = Mapping[str, object]
STAGE = re.compile(r"[a-z][a-z0-9_-]{0,31}")
RUN = re.compile(rf"({STAGE.pattern})-([0-9]{{4,9}})")  # a stage and the number of its attempt

_OP = "SELECT seq, at, lease, run, step, phase, of, data, epoch FROM op "
_LEASE = "SELECT id, at, data, closed_at, outcome FROM lease "
_RUN = "SELECT id, stage, number, lease, at, spec, finished_at, outcome, result FROM run "


@retried
@dataclass(frozen=True)
class Journal:
    """Always readable. Writes raise Fenced unless `epoch` is the current owner's."""

    connection: sqlite3.Connection
    epoch: int = READER
    clock: Callable[[], float] = time.time

    def open_lease(self, data: Data, runs: Iterable[tuple[str, Data]] = ()) -> str:
        """Record a new lease before anything is rented; `data` never changes.

        Returns its id.

        `runs` are (stage, specification) of its first runs, written in the same transaction.
        """
        text, wanted = encoded(data), [(_stage(stage), encoded(spec)) for stage, spec in runs]
        with writing(self.connection, self.epoch):
            number = self._next("SELECT max(number) FROM lease")
            lease = f"l{number:04}"
            self.connection.execute(
                "INSERT INTO lease (number, id, at, data, epoch) VALUES (?, ?, ?, ?, ?)",
                (number, lease, self.clock(), text, self.epoch),
            )
            for stage, spec in wanted:
                self._next_run(lease, stage, spec)
        return lease

    def close_lease(self, lease: str, outcome: str) -> None:
        """Close a lease of which nothing bills. Raises StateError when it is closed or unknown."""
        with writing(self.connection, self.epoch):
            changed = self.connection.execute(
                "UPDATE lease SET closed_at = ?, outcome = ? WHERE id = ?",
                (self.clock(), outcome, lease),
            )
            _exactly_one(changed, f"lease {lease}")

    def open_run(self, lease: str, stage: str, spec: Data) -> str:
        """Record a new attempt at `stage` on `lease` with a fixed `spec`; returns the run's id."""
        name, text = _stage(stage), encoded(spec)
        with writing(self.connection, self.epoch):
            return self._next_run(lease, name, text)

    def extend_lease(
        self, lease: str, step: str, data: Data, runs: Iterable[tuple[str, Data]]
    ) -> tuple[str, ...]:
        """Add runs and a note that names them to an open lease, in one transaction."""
        wanted = [(_stage(stage), encoded(spec)) for stage, spec in runs]
        with writing(self.connection, self.epoch):
            begun = [(self._next_run(lease, stage, spec), stage) for stage, spec in wanted]
            self._insert_op(lease, None, step, "note", None, masked({**data, "runs": begun}))
        return tuple(run for run, _ in begun)

    def _next_run(self, lease: str, stage: str, spec: str) -> str:
        number = self._next("SELECT max(number) FROM run WHERE stage = ?", (stage,))
        run = f"{stage}-{number:04}"
        self._insert_run(run, stage, number, lease, self.clock(), spec)
        return run

    def restore_run(self, lease: str, run: str, spec: Data, at: float) -> None:
        """Record a run of a lost database under its own id; later run numbers continue from it."""
        named = RUN.fullmatch(run)
        if named is None:
            raise StateError(f"{run!r} is no name of a run")
        text = encoded(spec)
        with writing(self.connection, self.epoch):
            self._insert_run(run, named[1], int(named[2]), lease, at, text)

    def _insert_run(
        self, run: str, stage: str, number: int, lease: str, at: float, spec: str
    ) -> None:
        self.connection.execute(
            "INSERT INTO run (id, stage, number, lease, at, spec, epoch)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (run, stage, number, lease, at, spec, self.epoch),
        )

    def finish_run(self, run: str, outcome: str, data: Data | None = None) -> None:
        """Record the outcome of a run. Raises StateError when it is finished or unknown."""
        with writing(self.connection, self.epoch):
            changed = self.connection.execute(
                "UPDATE run SET finished_at = ?, outcome = ?, result = ? WHERE id = ?",
                (self.clock(), outcome, masked(data or {}), run),
            )
            _exactly_one(changed, f"run {run}")

    def intent(
        self, lease: str, step: str, data: Data | None = None, run: str | None = None
    ) -> int:
        """Record an action before it is performed; returns the number for its outcome."""
        return self._append(lease, run, step, "intent", None, encoded(data or {}))

    def done(self, intent: int, data: Data | None = None) -> int:
        """Record the intent's outcome: the action succeeded."""
        return self._settle(intent, "done", data)

    def fail(self, intent: int, data: Data | None = None) -> int:
        """Record the intent's outcome: the action certainly failed."""
        return self._settle(intent, "fail", data)

    def note(self, lease: str, step: str, data: Data | None = None, run: str | None = None) -> int:
        """Record a fact that is not an action of podctl."""
        return self._append(lease, run, step, "note", None, masked(data or {}))

    def _settle(self, intent: int, phase: str, data: Data | None) -> int:
        intent_row = self.op(intent)
        if intent_row is None or intent_row.phase != "intent":
            raise StateError(f"op {intent} is no intent")
        return self._append(
            intent_row.lease, intent_row.run, intent_row.step, phase, intent, masked(data or {})
        )

    def _append(
        self, lease: str, run: str | None, step: str, phase: str, of: int | None, data: str
    ) -> int:
        with writing(self.connection, self.epoch):
            return self._insert_op(lease, run, step, phase, of, data)

    def _insert_op(
        self, lease: str, run: str | None, step: str, phase: str, of: int | None, data: str
    ) -> int:
        row = self.connection.execute(
            "INSERT INTO op (at, lease, run, step, phase, of, data, epoch)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (self.clock(), lease, run, step, phase, of, data, self.epoch),
        ).lastrowid
        return int(row or 0)

    def _next(self, query: str, values: Iterable[object] = ()) -> int:
        (highest,) = self.connection.execute(query, tuple(values)).fetchone()
        return int(highest or 0) + 1

    def op(self, seq: int) -> Op | None:
        rows = self._ops("WHERE seq = ?", seq)
        return rows[0] if rows else None

    def ops(self, lease: str, after: int = 0) -> tuple[Op, ...]:
        """The ops of `lease` with a number above `after`, oldest first."""
        return self._ops("WHERE lease = ? AND seq > ? ORDER BY seq", lease, after)

    def pending(self, lease: str) -> tuple[Op, ...]:
        """Intents without an outcome: they may or may not have happened."""
        return self._ops(
            "WHERE lease = ? AND phase = 'intent'"
            " AND NOT EXISTS (SELECT 1 FROM op AS later WHERE later.of = op.seq) ORDER BY seq",
            lease,
        )

    def leases(self) -> tuple[Lease, ...]:
        return self._leases("ORDER BY number")

    def open_leases(self) -> tuple[Lease, ...]:
        return self._leases("WHERE closed_at IS NULL ORDER BY number")

    def lease(self, lease: str) -> Lease | None:
        rows = self._leases("WHERE id = ?", lease)
        return rows[0] if rows else None

    def runs(
        self, stage: str | None = None, *, lease: str | None = None, open_only: bool = False
    ) -> tuple[Run, ...]:
        """The runs that meet every given condition, oldest first."""
        conditions = {"stage = ?": stage, "lease = ?": lease}
        chosen = {text: value for text, value in conditions.items() if value is not None}
        clauses = [*chosen, *(["finished_at IS NULL"] if open_only else [])]
        where = f"WHERE {' AND '.join(clauses)} " if clauses else ""
        return self._runs(where + "ORDER BY at, id", *chosen.values())

    def newest_runs(self) -> tuple[Run, ...]:
        """Every unfinished run and the newest of each stage, oldest first."""
        newest = {run.id: run for run in self.runs(open_only=True)}
        for stage in self.run_counts():
            if (run := self.newest_run(stage)) is not None:
                newest[run.id] = run
        return tuple(sorted(newest.values(), key=lambda run: (run.at, run.id)))

    def newest_run(self, stage: str, below: int = 1 << 62) -> Run | None:
        """The newest run of `stage` with a number under `below`."""
        where = "WHERE stage = ? AND number < ? ORDER BY number DESC LIMIT 1"
        rows = self._runs(where, stage, below)
        return rows[0] if rows else None

    def run_counts(self) -> dict[str, int]:
        """How many runs each stage has had."""
        return dict(self._rows("SELECT stage, count(*) FROM run GROUP BY stage", ()))

    def nonces(self) -> dict[str, str]:
        """The nonce of every generation of every lease, with its lease."""
        rows = self._rows("SELECT lease, data FROM op WHERE step = 'generation' ORDER BY lease", ())
        decoded = (_decoded(row, 1) for row in rows)
        return {str(data.get("nonce")): lease for lease, data in decoded}

    def unsettled_creates(self, since: float | None = None) -> tuple[Lease, ...]:
        """Leases with a create whose outcome is, or was for a while, unknown.

        With `since` only those that are open or were closed after it.
        """
        return self._leases(
            "WHERE (?1 IS NULL OR closed_at IS NULL OR closed_at > ?1) AND id IN ("
            " SELECT lease FROM op AS meant WHERE step = 'create' AND phase = 'intent'"
            " AND NOT EXISTS (SELECT 1 FROM op AS came WHERE came.of = meant.seq"
            " AND (came.phase = 'done' OR came.data NOT LIKE '%ambiguous%'))) ORDER BY number",
            since,
        )

    def run(self, run: str) -> Run | None:
        rows = self._runs("WHERE id = ?", run)
        return rows[0] if rows else None

    def _ops(self, where: str, *values: object) -> tuple[Op, ...]:
        return tuple(Op(*_decoded(row, 7)) for row in self._rows(_OP + where, values))

    def _leases(self, where: str, *values: object) -> tuple[Lease, ...]:
        return tuple(Lease(*_decoded(row, 2)) for row in self._rows(_LEASE + where, values))

    def _runs(self, where: str, *values: object) -> tuple[Run, ...]:
        return tuple(Run(*_decoded(row, 5, 8)) for row in self._rows(_RUN + where, values))

    def _rows(self, query: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        with translated():
            return self.connection.execute(query, values).fetchall()


def _stage(name: str) -> str:
    if not STAGE.fullmatch(name):
        raise StateError(f"{name!r} is no name of a stage")
    return name


def _decoded(row: tuple[Any, ...], *places: int) -> list[Any]:
    """The row with its JSON columns as objects. Raises Damaged."""
    try:
        return [json.loads(x or "{}") if i in places else x for i, x in enumerate(row)]
    except ValueError as error:
        raise damaged(f"{row[0]}: {error}") from error


def _exactly_one(changed: sqlite3.Cursor, subject: str) -> None:
    if changed.rowcount != 1:
        raise StateError(f"there is no {subject}")
