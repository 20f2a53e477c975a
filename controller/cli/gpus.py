"""`podctl gpus`: what the provider has, and at what price."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from controller.cli.options import json_option, project_here, provider_of
from controller.terminal.terminal import Terminal

if TYPE_CHECKING:
    from controller.providers.base import Offer


@click.command("gpus")
@click.option("--available", is_flag=True, help="Only what has stock now.")
@click.option("--cpu", is_flag=True, help="CPU flavors too.")
@json_option
@click.pass_obj
def command(terminal: Terminal, available: bool, cpu: bool) -> None:
    """List GPU types with memory, price per hour and availability, cheapest first."""
    from controller.orphans.warnings import warn_about_orphans

    project = project_here()
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
    )
    if not shown:
        terminal.say("nothing is available now")


def _price(offer: Offer) -> str:
    from controller.providers import prices

    doubt = prices.obstacle(offer.kind, offer.usd_per_hour, offer.count)
    return "not plausible" if doubt else f"{offer.usd_per_hour:.3f}"
