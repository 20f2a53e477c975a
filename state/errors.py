"""Errors of the state database: one class for each way to react.

`state` knows nothing of the controller; the command line turns these into its own errors.
"""

from __future__ import annotations

from dataclasses import dataclass


class StateError(Exception):
    """The state cannot be read or written; `hint` says what to change."""

    def __init__(self, what: str, *, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


class Unavailable(StateError):
    """Temporary: another process holds the database, or its disk is full or read-only."""


class Damaged(StateError):
    """The database file is not what SQLite wrote."""


class Newer(StateError):
    """A newer podctl wrote this database; this one must not touch it."""


class Fenced(StateError):
    """Another process took over the project lock; the write was rejected."""


@dataclass(frozen=True)
class Holder:
    """Who owns the state folder."""

    pid: int
    host: str
    since: float  # Unix seconds
    what: str  # e.g. "run stage1c"


class OwnedElsewhere(StateError):
    """Another process holds the project lock. `holder` is None until it has been recorded."""

    def __init__(self, holder: Holder | None) -> None:
        owner = (
            f"pid {holder.pid} on {holder.host} ({holder.what})" if holder else "another process"
        )
        super().__init__(
            f"{owner} is driving this project",
            hint="wait for it, or stop it first; reading commands work meanwhile",
        )
        self.holder = holder
