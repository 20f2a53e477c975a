"""What drills have shown: whether this account's pods can stop themselves. Reads the journal."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from controller.project import Project

if TYPE_CHECKING:
    from state.journal import Journal

DRILL = "podctl doctor --drill"
STAGE = "self-stop"  # the name under which drills stand in the journal
PASSED, REFUTED, UNCLEAR = "passed", "no-self-stop", "unclear"  # outcomes of their runs


@dataclass(frozen=True)
class Proof:
    """The newest finished drill of an account. `at` is in Unix seconds."""

    outcome: str
    why: str
    at: float

    @property
    def day(self) -> str:
        return time.strftime("%Y-%m-%d", time.localtime(self.at))


def account_name(project: Project) -> str:
    """Tells accounts apart by their key without keeping anything of it. Raises as `access_of`."""
    from controller.cloud import access_of

    access = access_of(project)
    secret = f"{access.base_url}\n{access.api_key.reveal()}"
    return hashlib.sha256(secret.encode()).hexdigest()[:12]


def newest(journal: Journal, account: str) -> Proof | None:
    """The last drill that ended in a finding; one that was stopped, or got no pod, says nothing."""
    for run in reversed(journal.runs(STAGE)):
        lease = journal.lease(run.lease)
        data = lease.data.get("drill") if lease is not None else None
        mine = isinstance(data, dict) and data.get("account") == account
        if mine and run.outcome in (PASSED, REFUTED):
            return Proof(run.outcome, str(run.result.get("why", "")), run.finished_at or run.at)
    return None


def read(project: Project) -> Proof | None:
    """`newest` from this project's state; None where nothing was ever run. Raises likewise."""
    from controller.attach import open_journal

    if not project.database.exists():
        return None
    journal = open_journal(project)
    try:
        return newest(journal, account_name(project))
    finally:
        journal.connection.close()


def reminder(found: Proof | None) -> str | None:
    """What is said before renting on an account whose pods are not proven to stop themselves."""
    if found is None:
        return f"  not proven on this account: that its pods stop themselves ({DRILL})"
    if found.outcome != PASSED:
        return f"  the drill of {found.day} FAILED: pods of this account do not stop themselves"
    return None
