"""Warns about pods and charges that no live run of this project owns."""

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

RECENT = 3 * 86400.0  # seconds: the age up to which an unconfirmed create is looked up on the bill
PATIENCE_SECONDS = 5.0  # limit of each provider call


def warn_about_orphans(project: Project, terminal: Terminal) -> None:
    """Warn about billing pods that no live run owns. Lists the pods once, and never raises."""
    from controller.orphans.sweep import sweep
    from controller.project.provider import access_of, open_provider
    from state.database import open_database

    try:
        terminal.redact.add(access_of(project).api_key.reveal())
        pods = open_provider(project, PATIENCE_SECONDS).list()
        project.prepare()
        connection = open_database(project.database, readonly=True)
        orphans = sweep(connection, pods)
        connection.close()
    except (PodctlError, StateError):
        return
    if warning := warning_text(orphans):
        terminal.warn(warning)


def warning_text(pods: Iterable[OrphanPod]) -> str:
    """The warning; empty when a live run owns every pod that bills."""
    billing = [pod for pod in pods if pod.usd_per_hour > 0]
    unowned = sum(pod.whose != "live" for pod in billing)
    if not unowned:
        return ""
    rate = sum(pod.usd_per_hour for pod in billing)
    subject = "1 pod bills" if len(billing) == 1 else f"{len(billing)} pods bill"
    return f"{subject} ${rate:.2f}/h, {unowned} not owned by a live run: podctl gc"


@contextmanager
def with_orphan_warnings(project: Project, terminal: Terminal) -> Iterator[None]:
    """Warn about orphaned pods before the command, and about unlisted charges after it."""
    attempt(partial(warn_about_orphans, project, terminal), let_pass=())
    try:
        yield
    except PodctlError:
        attempt(partial(warn_unlisted_charges, project, terminal), let_pass=())
        raise
    attempt(partial(warn_unlisted_charges, project, terminal), let_pass=())


def warn_unlisted_charges(project: Project, terminal: Terminal) -> None:
    """Warn about a billed pod that an unconfirmed create may have created. Never raises.

    Calls the provider only if there was such a create recently and its pod was not found.
    """
    from controller.orphans.reconciliation import UNLISTED, unclear_creates, unknown
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
        records = provider.billing(min(window.since for window in windows) - 3600.0, now + 3600.0)
        recorded = {total.subject: total.usd for total in Ledger(connection).by_pod(now)}
        charges = unknown(records, recorded, sweep(connection, provider.list()), windows)
        connection.close()
    except (PodctlError, StateError):
        return
    for charge in charges:
        if charge.whose == UNLISTED:
            terminal.warn(
                f"pod {charge.pod_id} was billed ${charge.usd:.4f} while a create call was "
                "unconfirmed, and was never listed: podctl cost --reconcile"
            )
