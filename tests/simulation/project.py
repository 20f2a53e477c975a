"""The simulated project: its stages, policy and state database."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from functools import cache

from controller.planner.policy import Policy
from jobs.stage import Stage
from state.last_seen import LastSeen
from state.schema import MIGRATIONS

# Long polling intervals keep a history at some hundred observations; the decisions are the same.
POLICY = Policy(poll=900.0, poll_boot=75.0, poll_ready=75.0)
NAMES = ("stage1a", "stage1b")


class DiscardedLastSeen(LastSeen):
    """Discards what `podctl status` would show."""

    def see(self, subject: str, source: str, data: Mapping[str, object]) -> None:
        """Store nothing."""


@cache
def stages() -> tuple[Stage, ...]:
    common = {
        "command": ["python", "job.py"],
        "outputs": ["out/**"],
        "criteria": [{"kind": "exists", "path": "out/x"}],
        "hours": 1.0,
        "max_hours": 2.0,
    }
    return tuple(Stage.model_validate({"name": n, "title": n, **common}) for n in NAMES)


@cache
def _template() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for migration in MIGRATIONS:
        for statement in migration:
            connection.execute(statement, {"installation": "o" * 16})
    return connection


def fresh_database() -> sqlite3.Connection:
    """An empty state database in memory."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    _template().backup(connection)
    return connection
