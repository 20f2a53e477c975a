"""The stage locks and their certificates; append-only."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass

from state.contention import retried
from state.database import READER, writing
from state.errors import StateError
from state.sqlite_errors import translated


@dataclass(frozen=True)
class StageLock:
    at: float  # Unix seconds
    stage: str
    kind: str  # locked | unlocked
    run: str | None
    certificate: str  # sha256 of the certificate
    reason: str  # why it was unlocked; empty when locked


@retried
@dataclass(frozen=True)
class Locks:
    connection: sqlite3.Connection
    epoch: int = READER
    clock: Callable[[], float] = time.time

    def lock(self, stage: str, run: str | None, certificate: str) -> None:
        """Lock `stage`. Raises StateError when it is locked already."""
        self._add(stage, "locked", run, certificate, "")

    def unlock(self, stage: str, reason: str) -> None:
        """Unlock `stage`. Raises StateError when it is not locked."""
        current = self.current(stage)
        if current is None:
            raise StateError(f"{stage} is not locked")
        self._add(stage, "unlocked", current.run, current.certificate, reason)

    def _add(self, stage: str, kind: str, run: str | None, certificate: str, reason: str) -> None:
        with writing(self.connection, self.epoch):
            self.connection.execute(
                "INSERT INTO stage_lock (at, stage, kind, run, certificate, reason, epoch)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (self.clock(), stage, kind, run, certificate, reason, self.epoch),
            )

    def current(self, stage: str) -> StageLock | None:
        """The lock in force, or None."""
        history = self.history(stage)
        return history[-1] if history and history[-1].kind == "locked" else None

    def all(self) -> tuple[StageLock, ...]:
        """Every lock in force, by stage."""
        with translated():
            stages = self.connection.execute(
                "SELECT DISTINCT stage FROM stage_lock ORDER BY stage"
            ).fetchall()
        locks = (self.current(stage) for (stage,) in stages)
        return tuple(lock for lock in locks if lock)

    def history(self, stage: str) -> tuple[StageLock, ...]:
        """Every locking and unlocking of `stage`, oldest first."""
        with translated():
            rows = self.connection.execute(
                "SELECT at, stage, kind, run, certificate, reason FROM stage_lock"
                " WHERE stage = ? ORDER BY seq",
                (stage,),
            ).fetchall()
        return tuple(StageLock(*row) for row in rows)
