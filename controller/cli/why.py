"""`podctl why`: explains whether a lock is stale, and what a re-run would cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from controller.cli.names import stage_names
from controller.cli.options import current_project, json_option
from controller.project.project import Project
from controller.terminal import formatting as words
from controller.terminal.terminal import Terminal

if TYPE_CHECKING:
    from controller.locks.certificate import Certificate


@click.command("why")
@click.argument("stage", shell_complete=stage_names)
@json_option
@click.pass_obj
def command(terminal: Terminal, stage: str) -> None:
    """Explain why STAGE's lock is stale and which stages depend on it."""
    project = current_project()
    explanation = explain(project, stage)
    if terminal.json:
        terminal.emit_json("podctl/why/1", explanation)
        return
    terminal.data(f"{stage} is {explanation['state']}")
    for text in explanation["differences"]:
        terminal.data(f"  {text}")
    for row in explanation["rerun"]:
        cost = words.usd(row["usd"]) if row["usd"] is not None else "price not yet known"
        terminal.data(f"  re-run: {row['stage']}, about {words.span(row['hours'])}, {cost}")
    if explanation["rerun"]:
        prices = [row["usd"] for row in explanation["rerun"]]
        if None not in prices:
            terminal.data(f"  total about {words.usd(explanation['usd'])}")
        elif any(prices):
            terminal.data(f"  total over {words.usd(explanation['usd'])}")
        terminal.say(f"next: {explanation['next']}")


def explain(project: Project, name: str) -> dict[str, Any]:
    """The state of a stage's lock as plain data. Raises NotFound for an unknown stage."""
    from controller.locks import certificate
    from controller.locks.staleness import downstream, in_order, stale

    stage = project.stage(name)
    locks = certificate.read_all(project.root)
    every = stale(project)
    differences = every.get(name, ())
    state = "not locked" if name not in locks else "stale" if differences else "current"
    again: list[str] = []
    if state != "current":
        later = [stage for stage in downstream(in_order(project.stages), name) if stage in locks]
        upstream = [need for need in stage.needs if every.get(need)]
        again = [*upstream, name, *later]
    rows = [_rerun(project, stage_name, locks.get(stage_name)) for stage_name in again]
    return {
        "stage": name,
        "state": state,
        "differences": [difference.text for difference in differences],
        "rerun": rows,
        "usd": sum(row["usd"] or 0.0 for row in rows),
        "next": _next(name, state),
    }


def _rerun(project: Project, name: str, lock: Certificate | None) -> dict[str, Any]:
    """Hours from the definition; the price at the rate of the last run."""
    stage = project.stage(name)
    usd = None
    if lock is not None and lock.cost.hours > 0:
        usd = stage.hours * lock.cost.usd / lock.cost.hours
    return {"stage": name, "hours": stage.hours, "usd": usd}


def _next(name: str, state: str) -> str:
    if state == "stale":
        return f"podctl unlock {name} --reason …; podctl run {name}"
    return f"podctl run {name}" if state == "not locked" else ""
