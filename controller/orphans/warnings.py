"""Lines beside other work: what bills, or was billed, and no live run of this project owns."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from controller.errors import PodctlError
from controller.incident import attempt
from state.errors import StateError

if TYPE_CHECKING:
    from controller.orphans.sweep import OrphanPod
    from controller.project.project import Project
    from controller.terminal.terminal import Terminal

RECENT = 3 * 86400.0  # seconds in which an unclear create is looked for on the bill
PATIENCE_SECONDS = 5.0  # what is not answered by then is not worth waiting for


def warn_of_strays(project: Project, terminal: Terminal) -> None:
    """Say it on stderr. Asks the provider once, and never fails: the command has its own work."""
    from controller.orphans.sweep import sweep
    from controller.project.provider import access_of, open_provider
    from state.database import open_database

    try:
        terminal.redact.add(access_of(project).api_key.reveal())
        pods = open_provider(project, PATIENCE_SECONDS).list()
        project.prepare()
        connection = open_database(project.database, readonly=True)
        found = sweep(connection, pods)
        connection.close()
    except (PodctlError, StateError):
        return
    if line := banner(found):
        terminal.warn(line)


def banner(found: Iterable[OrphanPod]) -> str:
    """The line; empty when everything that bills works for a live run."""
    billing = [one for one in found if one.usd_per_hour > 0]
    strange = sum(one.whose != "live" for one in billing)
    if not strange:
        return ""
    rate = sum(one.usd_per_hour for one in billing)
    some = "1 pod bills" if len(billing) == 1 else f"{len(billing)} pods bill"
    return f"{some} ${rate:.2f}/h, {strange} not owned by a live run: podctl gc"


@contextmanager
def with_orphan_warnings(project: Project, terminal: Terminal) -> Iterator[None]:
    """Around a drive: before it pods that bill for nobody, after it pods that only the bill has."""
    attempt(partial(warn_of_strays, project, terminal), let_pass=())
    try:
        yield
    except PodctlError:
        attempt(partial(warn_unlisted_charges, project, terminal), let_pass=())
        raise
    attempt(partial(warn_unlisted_charges, project, terminal), let_pass=())


def warn_unlisted_charges(project: Project, terminal: Terminal) -> None:
    """Look on the bill for a pod that a create without an answer may have made. Never fails.

    Asks the provider only when there was such a create lately, and none of its pods was found.
    """
    from controller.orphans.reconciliation import UNSEEN, unclear_creates, unknown
    from controller.orphans.sweep import sweep
    from controller.project.provider import open_provider
    from state.database import open_database
    from state.journal import Journal
    from state.ledger import Ledger

    try:
        connection = open_database(project.database, readonly=True)
        now = time.time()
        windows = unclear_creates(Journal(connection), now, now - RECENT)
        if not windows:
            return
        provider = open_provider(project, PATIENCE_SECONDS)
        records = provider.billing(min(one.since for one in windows) - 3600.0, now + 3600.0)
        known = {one.subject: one.usd for one in Ledger(connection).by_pod(now)}
        found = unknown(records, known, sweep(connection, provider.list()), windows)
        connection.close()
    except (PodctlError, StateError):
        return
    for one in found:
        if one.whose == UNSEEN:
            terminal.warn(
                f"pod {one.pod_id} was billed ${one.usd:.4f} while a create had no answer, and "
                "was in no listing: podctl cost --reconcile"
            )
