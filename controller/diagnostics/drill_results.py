"""Results of drills: whether this account's pods stop themselves. Reads the journal."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from controller.errors import Refused
from controller.planner.policy import DRILL
from controller.project.project import Project

if TYPE_CHECKING:
    from controller.terminal.terminal import Terminal
    from state.journal import Journal

STAGE = "self-stop"  # the stage name of drills in the journal
PASSED, REFUTED, UNCLEAR = "passed", "no-self-stop", "unclear"  # outcomes of their runs


@dataclass(frozen=True)
class Proof:
    """A finished drill of an account. `at` is in Unix seconds."""

    outcome: str
    why: str
    at: float
    image: str = ""

    @property
    def day(self) -> str:
        return time.strftime("%Y-%m-%d", time.localtime(self.at))

    @property
    def passed(self) -> bool:
        return self.outcome == PASSED

    def of(self, image: str) -> bool:
        """Whether the drill used `image`: another image may run no guard or not reach the API."""
        return self.image == image


def account_name(project: Project) -> str:
    """A hash that identifies the account without revealing its key. Raises like `access_of`."""
    from controller.project.provider import access_of

    access = access_of(project)
    secret = f"{access.base_url}\n{access.api_key.reveal()}"
    return hashlib.sha256(secret.encode()).hexdigest()[:12]


def newest(journal: Journal, account: str, image: str | None = None) -> Proof | None:
    """The last drill with a result, with `image` or (None) with any image.

    A drill that was stopped, or got no pod, has no result.
    """
    for run in reversed(journal.runs(STAGE)):
        lease = journal.lease(run.lease)
        data = lease.data.get("drill") if lease else None
        same_account = isinstance(data, dict) and data.get("account") == account
        if not same_account or run.outcome not in (PASSED, REFUTED):
            continue
        reason = str(run.result.get("why", ""))
        result = Proof(run.outcome, reason, run.finished_at or run.at, _image(run.spec))
        if image is None or result.of(image):
            return result
    return None


def _image(spec: Mapping[str, Any]) -> str:
    """The image of the pod that a drill rented."""
    shape = spec.get("shape")
    return str(shape.get("image", "")) if isinstance(shape, dict) else ""


def nearest(journal: Journal, account: str, image: str) -> Proof | None:
    """The last drill with `image`, or else with any image."""
    return newest(journal, account, image) or newest(journal, account)


def read(project: Project) -> Proof | None:
    """`nearest` for this project; None if nothing was ever run. Raises like `account_name`."""
    from controller.project.journal import open_journal

    if not project.database.exists():
        return None
    journal = open_journal(project)
    try:
        return nearest(journal, account_name(project), project.config.pod.image)
    finally:
        journal.connection.close()


def reminder(result: Proof | None, image: str) -> str | None:
    """The reminder before renting when no drill has shown that pods stop themselves; else None."""
    if result is None:
        return f"  self-stop not tested on this account ({DRILL})"
    if not result.passed:
        return f"  the drill of {result.day} FAILED: pods of this account do not stop themselves"
    if not result.of(image):
        return (
            f"  self-stop not tested with the image {image} ({DRILL}); the drill of {result.day} "
            f"used {result.image or 'another'}"
        )
    return None


def agree(result: Proof | None, image: str, terminal: Terminal, *, unguarded: bool) -> None:
    """Print the result of drills; after a failed drill ask the user, as the worst case is
    unbounded.

    Raises Refused if the user declines; UsageError without a terminal.
    """
    if text := reminder(result, image):
        terminal.say(text)
    if result is None or result.passed or unguarded:
        return
    question = "If this machine goes offline, nothing stops the pod's billing. Rent it anyway?"
    if not terminal.confirm(question, "--unguarded"):
        raise Refused(
            "not rented",
            cause=result.why,
            hint=f"{DRILL} once that is fixed, or --unguarded accepts it",
        )
