"""`podctl status`: what is known, by whom, and how old it is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from controller.cli.options import json_option, project_here, provider_of
from controller.errors import ConnectionLost
from controller.project.project import Project
from controller.terminal import formatting as words
from controller.terminal.terminal import Terminal

if TYPE_CHECKING:
    import sqlite3

    from controller.status.overview import Line, Overview, RunLine
    from controller.status.refresh import Unreachable

PATIENCE_SECONDS = 5.0  # what is not answered by then is unknown


@click.command("status")
@click.argument("name", metavar="[STAGE|RUN]", required=False)
@click.option("--cached", is_flag=True, help="Only what is written here; ask nobody.")
@json_option
@click.pass_obj
def command(terminal: Terminal, name: str | None, cached: bool) -> int:
    """Show stages, runs and pods, or those of one stage, each with its source and age.

    A state is what was said of it within the last minute, else `unknown`. Ends with 0 when every
    state is known, whatever it is, and with 8 when that of something that may run or bill is not.
    """
    from controller.status.refresh import Unreachable, ask
    from state.database import open_database

    project = project_here()
    project.prepare(reading=True)
    connection = open_database(project.database, reading=True)
    try:
        silence = Unreachable()
        overview = _look(project, connection, name, silence, cached=True)
        if not cached:
            if overview.pods or any(run.open for run in overview.runs):
                silence = ask(
                    project,
                    lambda: provider_of(project, terminal, PATIENCE_SECONDS),
                    connection,
                    overview,
                )
            overview = _look(project, connection, name, silence, cached=False)
    finally:
        connection.close()
    if terminal.json:
        _emit(terminal, overview, silence.reasons, cached)
    else:
        _show(terminal, overview)
        for reason in silence.reasons:
            terminal.warn(reason)
    return ConnectionLost.exit_code if overview.unknown or silence.reasons else 0


def _look(
    project: Project,
    connection: sqlite3.Connection,
    name: str | None,
    silence: Unreachable,
    *,
    cached: bool,
) -> Overview:
    """What is known now; `cached`: without the stages that nothing was done for yet."""
    from controller.status.overview import of_stage, read_overview, with_stages

    found = read_overview(project, connection, time.time(), silence.subjects)
    if not cached or name:
        found = with_stages(found, project)
    return of_stage(found, name) if name else found


def _emit(terminal: Terminal, overview: Overview, failures: tuple[str, ...], cached: bool) -> None:
    from controller.terminal.terminal import plain

    document = plain(overview)
    for row in (*document["stages"], *document["runs"], *document["pods"]):
        fact = row.pop("fact")
        at = fact["at"]
        row |= fact | {"age_seconds": None if at is None else round(overview.at - at, 1)}
    for row, run in zip(document["runs"], overview.runs, strict=True):
        steps = {} if run.steps is None else run.steps.as_dict(run.fact.at or overview.at)
        told = {"loss": row.pop("loss"), "figures": row.pop("figures")}
        row["progress"] = steps | told if run.steps or run.loss is not None else None
        del row["steps"]
    extra = {"cached": cached, "unknown": overview.unknown, "failures": list(failures)}
    terminal.emit_json("podctl/status/1", document | extra)


def _show(terminal: Terminal, overview: Overview) -> None:
    def told(fact: Line) -> tuple[str, str, str, str]:
        age = "" if fact.at is None else words.age(overview.at - fact.at)
        return fact.state, fact.source, age, fact.detail

    head = ("STATE", "SOURCE", "AGE", "DETAIL")
    tables = (
        ("STAGE", ("TITLE",), [(s.stage, *told(s.fact), s.title) for s in overview.stages]),
        ("RUN", ("POD",), [(r.run, *told(r.fact), r.pod) for r in overview.runs]),
        (
            "POD",
            ("$/H", "RUN"),
            [(p.pod, *told(p.fact), f"{p.usd_per_hour:.4f}", p.run) for p in overview.pods],
        ),
    )
    for first, last, rows in tables:
        if rows:
            terminal.table((first, *head, *last), rows)
            terminal.data("")
    for run in overview.runs:
        if line := _steps(run):
            terminal.data(line)
    if not (overview.stages or overview.runs or overview.pods):
        terminal.say("nothing was run in this project yet; next: podctl plan")
    spent, rate = words.usd(overview.spent_usd), f"${overview.usd_per_hour:.4f}"
    terminal.say(f"spent {spent}; billing now {rate} an hour by the ledger")
    if overview.driver:
        terminal.say(f"driven by {overview.driver}")


def _steps(run: RunLine) -> str:
    """How far a job is: `sft-0001: step 118/400, 2.0 s/it, 9 min left, loss 0.31 (log)`."""
    from controller.planner.job_progress import figure_words

    if run.steps is None or run.fact.at is None:
        return ""
    loss = [] if run.loss is None else [f"loss {run.loss:.4g}"]
    words = [*run.steps.words(run.fact.at), *loss, *figure_words(run.figures)]
    source = f" ({run.steps.source})" if run.steps.source else ""
    then = "was at " if run.fact.state == "unknown" else ""
    return f"{run.run}: {then}{', '.join(words)}{source}"
