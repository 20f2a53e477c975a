"""`podctl cost --reconcile`: the ledger against the provider's bill, and what only the bill has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from controller.cli.options import provider_of
from controller.errors import NotFound, Refused, VerificationFailed
from controller.orphans.reconciliation import (
    Bill,
    Billed,
    examine,
    intervals,
    unclear_creates,
    unknown,
    window_of,
)
from controller.orphans.sweep import sweep
from controller.project.project import Project
from controller.terminal.terminal import Terminal
from state.journal import Journal

if TYPE_CHECKING:
    import sqlite3

    from controller.costs.spending import Account
    from controller.providers.base import BillingRecord, Provider

BEFORE = 3600.0  # seconds: the bill's buckets are hours


def compare(terminal: Terminal, project: Project, connection: sqlite3.Connection) -> int:
    """Show both sides, pod by pod. Raises VerificationFailed when they differ."""
    provider = provider_of(project, terminal)
    account = _account(terminal, project, provider, connection)
    windows = unclear_creates(Journal(connection), account.at)
    listed = sweep(connection, provider.list())
    bill = examine(account, _records(provider, account, connection), listed, windows)
    if terminal.json:
        document = {"agrees": bill.agrees, "pods": bill.ours, "others": bill.others}
        terminal.emit_json("podctl/reconcile/1", document)
        return 0 if bill.agrees else VerificationFailed.exit_code
    _show(terminal, bill)
    if not bill.agrees:
        raise VerificationFailed(
            "the ledger and the provider's bill differ by more than a cent",
            cause="the bill comes in hourly buckets, and may be late by one",
            hint=_way_out(bill),
        )
    return 0


def _account(
    terminal: Terminal, project: Project, provider: Provider, connection: sqlite3.Connection
) -> Account:
    """By the provider's time: a wrong clock here must not choose what is compared."""
    from controller.costs.spending import read_account
    from controller.providers.clock import provider_clock

    now = provider_clock(provider, terminal.warn).wall()
    return read_account(connection, project.budgets(), now)


def _records(
    provider: Provider, account: Account, connection: sqlite3.Connection
) -> tuple[BillingRecord, ...]:
    from state.ledger import Ledger

    began = Ledger(connection).began() or account.at
    return provider.billing(min(began, account.at) - BEFORE, account.at + BEFORE)


def _show(terminal: Terminal, bill: Bill) -> None:
    columns = ("POD", "WHOSE", "LEDGER", "BILLED", "DIFFERENCE", "")
    ours = [
        (
            one.pod_id,
            one.whose,
            f"${one.ledger_usd:.4f}",
            f"${one.billed_usd:.4f}",
            f"{one.usd:+.4f}",
            "PASS" if one.agrees else "FAIL",
        )
        for one in bill.ours
    ]
    others = [(one.pod_id, one.whose, "", f"${one.usd:.4f}", "", "") for one in bill.others]
    terminal.table(columns, [*ours, *others])


def _way_out(bill: Bill) -> str:
    unseen = next((one.pod_id for one in bill.ours if one.whose == "unseen"), None)
    if unseen is not None:
        return (
            f"{unseen} was billed while a create had no answer, and no list showed it: "
            f"podctl cost --book {unseen} if nobody else rented it"
        )
    if any(one.whose != "ours" for one in bill.ours):
        return "podctl gc shows pods of this project that no run owns"
    return "repeat it in an hour; podctl status shows what still bills"


def book(terminal: Terminal, project: Project, connection: sqlite3.Connection, pod: str) -> int:
    """Enter a pod that only the bill knows in the ledger: the user says that it was ours."""
    from state.ledger import Ledger
    from state.project_lock import acquire

    provider = provider_of(project, terminal)
    account = _account(terminal, project, provider, connection)
    records = _records(provider, account, connection)
    ledger = {row.name: row.usd for row in account.pods}
    with acquire(project.state_dir, "cost") as owner:
        windows = unclear_creates(Journal(owner.connection), account.at)
        listed = sweep(owner.connection, provider.list())
        found = _chosen(unknown(records, ledger, listed, windows), pod)
        window = window_of(found, windows)
        assert window is not None, "an unseen pod has one"
        Ledger(owner.connection, owner.epoch).record(intervals(found, window))
    terminal.say(f"entered {pod} with ${found.usd:.4f}, for {window.stage}")
    return 0


def _chosen(found: Sequence[Billed], pod: str) -> Billed:
    one = next((one for one in found if one.pod_id == pod), None)
    if one is None:
        raise NotFound(
            f"the bill has no pod {pod!r} that the ledger lacks", hint="podctl cost --reconcile"
        )
    if one.whose != "unseen":
        raise Refused(
            f"{pod} is not this project's by any record: {one.whose}",
            cause="no create of this project was without an answer when it was billed",
            hint="podctl gc, where it is still listed",
        )
    return one
