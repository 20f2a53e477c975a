"""Warnings around a command: pods and charges that no live run of this project owns."""

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
        found = sweep(connection, pods)
        connection.close()
    except (PodctlError, StateError):
        return
    if line := banner(found):
        terminal.warn(line)


def banner(pods: Iterable[OrphanPod]) -> str:
    """The warning; empty when a live run owns every pod that bills."""
    billing = [pod for pod in pods if pod.usd_per_hour > 0]
    strange = sum(pod.whose != "live" for pod in billing)
    if not strange:
        return ""
    rate = sum(pod.usd_per_hour for pod in billing)
    some = "1 pod bills" if len(billing) == 1 else f"{len(billing)} pods bill"
    return f"{some} ${rate:.2f}/h, {strange} not owned by a live run: podctl gc"


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
    """Look on the bill for a pod that a create without an answer may have made. Never fails.

    Asks the provider only when there was such a create lately, and none of its pods was found.
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
        known = {total.subject: total.usd for total in Ledger(connection).by_pod(now)}
        found = unknown(records, known, sweep(connection, provider.list()), windows)
        connection.close()
    except (PodctlError, StateError):
        return
    for charge in found:
        if charge.whose == UNLISTED:
            terminal.warn(
                f"pod {charge.pod_id} was billed ${charge.usd:.4f} while a create had no answer, and "
                "was in no listing: podctl cost --reconcile"
            )
