"""`podctl why`: whether a lock is still current, in words, and what a re-run would cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from controller.cli.options import json_option, project_here
from controller.project.project import Project
from controller.terminal import formatting as words
from controller.terminal.terminal import Terminal

if TYPE_CHECKING:
    from controller.locks.certificate import Certificate


@click.command("why")
@click.argument("stage")
@json_option
@click.pass_obj
def command(terminal: Terminal, stage: str) -> None:
    """Say what differs between the lock of STAGE and a run of it now, and what hangs on it."""
    project = project_here()
    found = explain(project, stage)
    if terminal.json:
        terminal.emit_json("podctl/why/1", found)
        return
    terminal.data(f"{stage} is {found['state']}")
    for text in found["differences"]:
        terminal.data(f"  {text}")
    for row in found["rerun"]:
        cost = words.usd(row["usd"]) if row["usd"] is not None else "a price unknown yet"
        terminal.data(f"  to run again: {row['stage']}, about {row['hours']:g} h, {cost}")
    if found["rerun"]:
        terminal.data(f"  in all about {words.usd(found['usd'])}")
        terminal.say(f"next: {found['next']}")


def explain(project: Project, name: str) -> dict[str, Any]:
    """The state of one stage's lock as plain data. Raises NotFound for an unknown stage."""
    from controller.locks import certificate
    from controller.locks.staleness import downstream, in_order, stale

    stage = project.stage(name)
    locks = certificate.read_all(project.root)
    every = stale(project)
    differing = every.get(name, ())
    state = "not locked" if name not in locks else "stale" if differing else "current"
    again: list[str] = []
    if state != "current":
        later = [one for one in downstream(in_order(project.stages), name) if one in locks]
        upstream = [need for need in stage.needs if every.get(need)]
        again = [*upstream, name, *later]
    rows = [_rerun(project, one, locks.get(one)) for one in again]
    return {
        "stage": name,
        "state": state,
        "differences": [one.text for one in differing],
        "rerun": rows,
        "usd": sum(row["usd"] or 0.0 for row in rows),
        "next": _next(name, state),
    }


def _rerun(project: Project, name: str, lock: Certificate | None) -> dict[str, Any]:
    """Hours by the definition; the price at the rate that its last run really had."""
    stage = project.stage(name)
    usd = None
    if lock is not None and lock.cost.hours > 0:
        usd = stage.hours * lock.cost.usd / lock.cost.hours
    return {"stage": name, "hours": stage.hours, "usd": usd}


def _next(name: str, state: str) -> str:
    if state == "stale":
        return f"podctl unlock {name} --reason …; podctl run {name}"
    return f"podctl run {name}" if state == "not locked" else ""
