"""`podctl cost --reconcile`: compares the ledger with the provider's bill."""

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

BEFORE = 3600.0  # seconds: the bill has hourly entries


def compare(terminal: Terminal, project: Project, connection: sqlite3.Connection) -> int:
    """Show both sums for each pod. Raises VerificationFailed if they differ."""
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
            cause="the bill has hourly entries and may be an hour late",
            hint=_next_command(bill),
        )
    return 0


def _account(
    terminal: Terminal, project: Project, provider: Provider, connection: sqlite3.Connection
) -> Account:
    """Read at the provider's time: a wrong local clock must not choose the period."""
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
            pod.pod_id,
            pod.whose,
            f"${pod.ledger_usd:.4f}",
            f"${pod.billed_usd:.4f}",
            f"{pod.usd:+.4f}",
            "PASS" if pod.agrees else "FAIL",
        )
        for pod in bill.ours
    ]
    others = [(pod.pod_id, pod.whose, "", f"${pod.usd:.4f}", "", "") for pod in bill.others]
    terminal.table(columns, [*ours, *others])


def _next_command(bill: Bill) -> str:
    unlisted = next((pod.pod_id for pod in bill.ours if pod.whose == "unseen"), None)
    if unlisted is not None:
        return (
            f"{unlisted} was billed while a create was unconfirmed, and was never listed: "
            f"podctl cost --book {unlisted}, unless somebody else rented it"
        )
    if any(pod.whose != "ours" for pod in bill.ours):
        return "podctl gc lists pods of this project that no run owns"
    return "repeat the command in an hour; podctl status shows what still bills"


def book(terminal: Terminal, project: Project, connection: sqlite3.Connection, pod: str) -> int:
    """Add a pod that is only on the bill to the ledger; the user confirms that it was ours."""
    from state.ledger import Ledger
    from state.project_lock import acquire

    provider = provider_of(project, terminal)
    account = _account(terminal, project, provider, connection)
    records = _records(provider, account, connection)
    ledger = {row.name: row.usd for row in account.pods}
    with acquire(project.state_dir, "cost") as owner:
        windows = unclear_creates(Journal(owner.connection), account.at)
        listed = sweep(owner.connection, provider.list())
        charge = _chosen(unknown(records, ledger, listed, windows), pod)
        window = window_of(charge, windows)
        assert window is not None, "an unlisted pod has one"
        Ledger(owner.connection, owner.epoch).record(intervals(charge, window))
    terminal.say(f"added {pod} with ${charge.usd:.4f}, for {window.stage}")
    return 0


def _chosen(charges: Sequence[Billed], pod: str) -> Billed:
    charge = next((charge for charge in charges if charge.pod_id == pod), None)
    if charge is None:
        raise NotFound(
            f"the bill has no pod {pod!r} that the ledger lacks", hint="podctl cost --reconcile"
        )
    if charge.whose != "unseen":
        raise Refused(
            f"no record shows that {pod} belongs to this project: {charge.whose}",
            cause="this project had no unconfirmed create when the pod was billed",
            hint="podctl gc, if the pod is still listed",
        )
    return charge
