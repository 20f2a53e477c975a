"""A process that drives waits for the state: while another one holds it, or its disk is full.

Every method of the journal, the ledger, the locks and the sightings is one transaction or one
query. Such a one is simply done again, for as long as the connection's patience lasts; a
connection without patience, of a command that reads, fails at once.
"""

from __future__ import annotations

import functools
import inspect
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from state.errors import Unavailable

SECONDS = 1800.0  # then the command ends; what runs on pods goes on
PAUSE, LONGEST_PAUSE = 0.5, 10.0
AGAIN = 60.0  # seconds between two words about it
BUSY_SECONDS = 1.0  # of SQLite's own waiting, which Ctrl-C does not cut short

T = TypeVar("T")
C = TypeVar("C", bound=type)


@dataclass(frozen=True)
class Contention:
    """`tell` is given the reason at once, and every minute or so."""

    tell: Callable[[str], None]
    seconds: float = SECONDS
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.monotonic

    def outlast(self, work: Callable[[], T]) -> T:
        """What `work` returns once the state can be had. Raises Unavailable after `seconds`."""
        begun, reported_at, pause = self.now(), -AGAIN, PAUSE
        while True:
            try:
                return work()
            except Unavailable as error:
                waited = self.now() - begun
                if waited >= self.seconds:
                    raise
                if waited - reported_at >= AGAIN:
                    reported_at = waited
                    self.tell(f"{error.what}: waiting, for up to {self.seconds / 60:.0f} minutes")
            self.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 1.5)


class Connection(sqlite3.Connection):
    """One that may have patience."""

    patience: Contention | None = None


def be_patient(connection: sqlite3.Connection, patience: Contention) -> None:
    """From here on, every method on this connection outlasts what passes. Raises StateError."""
    assert isinstance(connection, Connection)
    connection.patience = patience
    connection.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")


def hurry(connection: sqlite3.Connection) -> None:
    """Wait for nothing any more: the command ends."""
    assert isinstance(connection, Connection)
    connection.patience = None


def patient(kind: C) -> C:
    """A class whose public methods work on `self.connection`, each a whole of its own."""
    for name, method in vars(kind).items():
        if inspect.isfunction(method) and not name.startswith("_"):
            setattr(kind, name, _outlasting(method))
    return kind


def _outlasting(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def outlasting(self: Any, *arguments: Any, **named: Any) -> Any:
        patience = getattr(self.connection, "patience", None)
        if patience is None or self.connection.in_transaction:  # its whole is done again, or not
            return method(self, *arguments, **named)
        return patience.outlast(lambda: method(self, *arguments, **named))

    return outlasting
