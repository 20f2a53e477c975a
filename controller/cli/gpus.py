"""`podctl gpus`: the provider's hardware and its prices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from controller.cli.options import current_project, json_option, provider_of, wide_option
from controller.terminal.terminal import Terminal

if TYPE_CHECKING:
    from controller.providers.base import Offer


@click.command("gpus")
@click.option("--available", is_flag=True, help="Show only types that are in stock.")
@click.option("--cpu", is_flag=True, help="Show CPU types too.")
@wide_option
@json_option
@click.pass_obj
def command(terminal: Terminal, available: bool, cpu: bool) -> None:
    """List GPU types with memory, price per hour and availability, cheapest first."""
    from controller.orphans.warnings import warn_about_orphans

    project = current_project()
    offers = provider_of(project, terminal).catalog()
    warn_about_orphans(project, terminal)
    shown = [
        offer
        for offer in offers
        if (cpu or offer.kind == "gpu") and not (available and offer.availability == "NONE")
    ]
    if terminal.json:
        terminal.emit_json("podctl/gpus/1", {"offers": shown})
        return
    columns = ("TYPE", "MEMORY GB", "$/H", "AVAILABILITY", "CLOUD", "ID")
    terminal.table(
        columns,
        [(o.name, o.memory_gb, _price(o), o.availability, o.cloud, o.id) for o in shown],
        optional=("CLOUD",),
    )
    terminal.hint_wide()
    if not shown:
        terminal.say("no matching type is available now")


def _price(offer: Offer) -> str:
    from controller.providers import prices

    problem = prices.obstacle(offer.kind, offer.usd_per_hour, offer.count)
    return "not plausible" if problem else f"{offer.usd_per_hour:.3f}"
