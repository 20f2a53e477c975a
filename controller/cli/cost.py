"""`podctl cost`: spending so far, the estimate, and the comparison with the provider's bill."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from controller.cli.options import json_option, open_project, wide_option
from controller.errors import UsageError
from controller.terminal import formatting as words
from controller.terminal.terminal import Terminal

if TYPE_CHECKING:
    from controller.costs.spending import Account


@click.command("cost")
@click.option("--csv", "csv_", is_flag=True, help="Print comma-separated values.")
@click.option("--reconcile", is_flag=True, help="Compare with the provider's billing records.")
@click.option("--book", metavar="POD", help="Add a billed POD that was never listed to the ledger.")
@wide_option
@json_option
@click.pass_obj
def command(terminal: Terminal, csv_: bool, reconcile: bool, book: str | None) -> int:
    """Show hours, current rate, spending and estimate by stage and pod, and the budget left."""
    from controller.costs.spending import read_account
    from state.database import open_database

    if csv_ and terminal.json:
        raise UsageError("--csv and --json cannot be combined")
    project = open_project(terminal)
    project.prepare(reading=True)
    connection = open_database(project.database, readonly=True)
    try:
        if reconcile or book:
            from controller.cli import reconcile as bill

            if book:
                return bill.book(terminal, project, connection, book)
            return bill.compare(terminal, project, connection)
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
    columns = ("", "TIME", "$/H NOW", "COMPUTE", "STORAGE", "SPENT", "ESTIMATE")
    rows = [
        (
            f"{row.scope} {row.name}",
            words.span(row.hours),
            f"{row.usd_per_hour_now:.4f}",
            words.usd(row.compute_usd),
            words.usd(row.storage_usd),
            words.usd(row.usd),
            words.usd(row.estimate_usd),
        )
        for row in (*account.stages, *account.pods, account.total)
    ]
    terminal.table(columns, rows, optional=("COMPUTE", "STORAGE"))
    terminal.hint_wide()
    if account.budget_usd is not None:
        left = words.usd(account.left_usd)
        terminal.prose(f"budget {words.usd(account.budget_usd)}, left {left}")
    if account.total.parked_usd_per_day:
        day = words.usd(account.total.parked_usd_per_day)
        terminal.prose(f"disks of parked pods: {day} a day until they are terminated: podctl gc")
    for seen in account.volumes:
        terminal.prose(
            f"network volume {seen.volume.id} ({seen.volume.size_gb} GB): "
            f"{words.usd(seen.volume.usd_per_day)} a day, with or without a pod, not included "
            f"above; seen {words.age(account.at - seen.at)} ago"
        )


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
