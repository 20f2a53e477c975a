"""`podctl cost`: what was spent, what it will be, and whether the provider agrees."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from controller.cli import words
from controller.cli.options import json_option, project_here, provider_of
from controller.errors import UsageError, VerificationFailed
from controller.project import Project
from controller.terminal import Terminal

if TYPE_CHECKING:
    import sqlite3

    from controller.account import Account


@click.command("cost")
@click.option("--csv", "csv_", is_flag=True, help="Comma-separated values.")
@click.option("--reconcile", is_flag=True, help="Compare with the provider's billing records.")
@json_option
@click.pass_obj
def command(terminal: Terminal, csv_: bool, reconcile: bool) -> int:
    """Show hours, rate now, spent and estimate by stage and pod, and the budget left."""
    from controller.account import read_account
    from state.database import open_database

    if csv_ and terminal.json:
        raise UsageError("--csv and --json exclude one another")
    project = project_here()
    project.prepare()
    connection = open_database(project.database, readonly=True)
    try:
        if reconcile:
            return _reconcile(terminal, project, connection)
        account = read_account(connection, project.budgets(), time.time())
    finally:
        connection.close()
    if terminal.json:
        terminal.emit_json("podctl/cost/1", account)
    elif csv_:
        _csv(terminal, account)
    else:
        _show(terminal, account)
    return 0


def _show(terminal: Terminal, account: Account) -> None:
    columns = ("", "HOURS", "$/H NOW", "COMPUTE", "STORAGE", "SPENT", "ESTIMATE")
    rows = [
        (
            f"{row.scope} {row.name}",
            words.hours(row.hours),
            f"{row.usd_per_hour_now:.4f}",
            words.usd(row.compute_usd),
            words.usd(row.storage_usd),
            words.usd(row.usd),
            words.usd(row.estimate_usd),
        )
        for row in (*account.stages, *account.pods, account.total)
    ]
    terminal.table(columns, rows)
    if account.budget_usd is not None:
        left = words.usd(account.left_usd)
        terminal.data(f"budget {words.usd(account.budget_usd)}, left {left}")
    if account.total.parked_usd_per_day:
        day = words.usd(account.total.parked_usd_per_day)
        terminal.data(f"disks of parked pods: {day} a day until they are terminated: podctl gc")


def _csv(terminal: Terminal, account: Account) -> None:
    import csv
    import dataclasses
    import io

    text = io.StringIO()
    rows = [dataclasses.asdict(row) for row in (*account.stages, *account.pods, account.total)]
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    terminal.data(text.getvalue(), end="")


def _reconcile(terminal: Terminal, project: Project, connection: sqlite3.Connection) -> int:
    """By the provider's time: a wrong clock here must not choose what is compared."""
    from controller.account import compare, read_account
    from controller.provider_time import provider_clock
    from state.ledger import Ledger

    provider = provider_of(project, terminal)
    now = provider_clock(provider, terminal.warn).wall()
    account = read_account(connection, project.budgets(), now)
    began = Ledger(connection).began() or now
    records = provider.billing(min(began, now) - 3600.0, now + 3600.0)
    differences = compare(account, records)
    agrees = all(one.agrees for one in differences)
    if terminal.json:
        terminal.emit_json("podctl/reconcile/1", {"agrees": agrees, "pods": differences})
        return 0 if agrees else VerificationFailed.exit_code
    columns = ("POD", "LEDGER", "BILLED", "DIFFERENCE", "")
    rows = [
        (
            one.pod_id,
            f"${one.ledger_usd:.4f}",
            f"${one.billed_usd:.4f}",
            f"{one.usd:+.4f}",
            "PASS" if one.agrees else "FAIL",
        )
        for one in differences
    ]
    terminal.table(columns, rows)
    if not agrees:
        raise VerificationFailed(
            "the ledger and the provider's bill differ by more than a cent",
            cause="the bill comes in hourly buckets, and may be late by one",
            hint="repeat it in an hour; podctl status shows what still bills",
        )
    return 0
