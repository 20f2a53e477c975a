"""Retries while another process holds the database, or its disk is full.

Every method of the journal, the ledger, the locks and the sightings is one transaction or one
query, so it can be repeated. A connection with a `Contention` repeats it until that gives up; a
connection without one, as of a command that only reads, fails at once.
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

SECONDS = 1800.0  # then the command ends; running pods are not affected
PAUSE, LONGEST_PAUSE = 0.5, 10.0
AGAIN = 60.0  # seconds between two messages
BUSY_SECONDS = 1.0  # of SQLite's own waiting, which Ctrl-C does not cut short

T = TypeVar("T")
C = TypeVar("C", bound=type)


@dataclass(frozen=True)
class Contention:
    """How long to retry; `tell` gets the reason at once, then every AGAIN seconds."""

    tell: Callable[[str], None]
    seconds: float = SECONDS
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.monotonic

    def call(self, work: Callable[[], T]) -> T:
        """Call `work` until the state is available; returns its result.

        Raises Unavailable after `seconds`."""
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
    """A connection on which `patient` methods may wait."""

    patience: Contention | None = None


def retry_while_busy(connection: sqlite3.Connection, patience: Contention) -> None:
    """Let every later `patient` method on this connection retry. Raises StateError."""
    assert isinstance(connection, Connection)
    connection.patience = patience
    connection.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")


def stop_retrying(connection: sqlite3.Connection) -> None:
    """Stop retrying on this connection: the command is about to end."""
    assert isinstance(connection, Connection)
    connection.patience = None


def retried(kind: C) -> C:
    """Class decorator: public methods retry; each must be one transaction on `self.connection`."""
    for name, method in vars(kind).items():
        if inspect.isfunction(method) and not name.startswith("_"):
            setattr(kind, name, _retrying(method))
    return kind


def _retrying(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def retrying(self: Any, *arguments: Any, **named: Any) -> Any:
        patience = getattr(self.connection, "patience", None)
        if (
            patience is None or self.connection.in_transaction
        ):  # the enclosing transaction is repeated, or nothing
            return method(self, *arguments, **named)
        return patience.call(lambda: method(self, *arguments, **named))

    return retrying
