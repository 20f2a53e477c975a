"""`podctl status`: shows stages, runs and pods, with source and age of each state."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from controller.cli.names import run_names
from controller.cli.options import current_project, json_option, provider_of
from controller.errors import ConnectionLost
from controller.project.project import Project
from controller.terminal import formatting as words
from controller.terminal.terminal import Terminal

if TYPE_CHECKING:
    import sqlite3

    from controller.status.overview import Line, Overview, RunLine
    from controller.status.refresh import Unreachable

PATIENCE_SECONDS = 5.0  # without a response by then, a state is unknown


@click.command("status")
@click.argument("name", metavar="[STAGE|RUN]", required=False, shell_complete=run_names)
@click.option(
    "--cached", is_flag=True, help="Show local records only; contact neither pods nor provider."
)
@json_option
@click.pass_obj
def command(terminal: Terminal, name: str | None, cached: bool) -> int:
    """Show stages, runs and pods, or those of one stage, each with its source and age.

    A state was reported within the last minute, else it is `unknown`. Exits with 0 if every state
    is known, and with 8 if the state of something that may run or bill is unknown.
    """
    from controller.status.refresh import Unreachable, ask
    from state.database import open_database

    project = current_project()
    project.prepare(reading=True)
    connection = open_database(project.database, reading=True)
    try:
        unreachable = Unreachable()
        overview = _look(project, connection, name, unreachable, cached=True)
        if not cached:
            if overview.pods or any(run.open for run in overview.runs):
                unreachable = ask(
                    project,
                    lambda: provider_of(project, terminal, PATIENCE_SECONDS),
                    connection,
                    overview,
                )
            overview = _look(project, connection, name, unreachable, cached=False)
    finally:
        connection.close()
    if terminal.json:
        _emit(terminal, overview, unreachable.reasons, cached)
    else:
        _show(terminal, overview)
        for reason in unreachable.reasons:
            terminal.warn(reason)
    return ConnectionLost.exit_code if overview.unknown or unreachable.reasons else 0


def _look(
    project: Project,
    connection: sqlite3.Connection,
    name: str | None,
    unreachable: Unreachable,
    *,
    cached: bool,
) -> Overview:
    """The present overview; `cached`: without stages that have no run yet."""
    from controller.status.overview import of_stage, read_overview, with_stages

    overview = read_overview(project, connection, time.time(), unreachable.subjects)
    if not cached or name:
        overview = with_stages(overview, project)
    return of_stage(overview, name) if name else overview


def _emit(terminal: Terminal, overview: Overview, failures: tuple[str, ...], cached: bool) -> None:
    from controller.terminal.json_values import plain

    document = plain(overview)
    for row in (*document["stages"], *document["runs"], *document["pods"]):
        fact = row.pop("fact")
        at = fact["at"]
        row |= fact | {"age_seconds": None if at is None else round(overview.at - at, 1)}
    for row, run in zip(document["runs"], overview.runs, strict=True):
        steps = {} if run.steps is None else run.steps.as_dict(run.fact.at or overview.at)
        values = {"loss": row.pop("loss"), "figures": row.pop("figures")}
        row["progress"] = steps | values if run.steps or run.loss is not None else None
        del row["steps"]
    extra = {"cached": cached, "unknown": overview.unknown, "failures": list(failures)}
    terminal.emit_json("podctl/status/1", document | extra)


def _show(terminal: Terminal, overview: Overview) -> None:
    def cells(fact: Line) -> tuple[str, str, str, str]:
        age = "" if fact.at is None else words.age(overview.at - fact.at)
        return fact.state, fact.source, age, fact.detail

    head = ("STATE", "SOURCE", "AGE", "DETAIL")
    tables = (
        ("STAGE", ("TITLE",), [(s.stage, *cells(s.fact), s.title) for s in overview.stages]),
        ("RUN", ("POD",), [(r.run, *cells(r.fact), r.pod) for r in overview.runs]),
        (
            "POD",
            ("$/H", "RUN"),
            [(p.pod, *cells(p.fact), f"{p.usd_per_hour:.4f}", p.run) for p in overview.pods],
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
        terminal.say("this project has no runs yet; next: podctl plan")
    spent, rate = words.usd(overview.spent_usd), f"${overview.usd_per_hour:.4f}"
    terminal.say(f"spent {spent}; billing now {rate} an hour by the ledger")
    if overview.driver:
        terminal.say(f"controlled by {overview.driver}")


def _steps(run: RunLine) -> str:
    """The progress of a job: `sft-0001: step 118/400, 2.0 s/it, 9 min left, loss 0.31 (log)`."""
    from controller.planner.job_progress import figure_words

    if run.steps is None or run.fact.at is None:
        return ""
    loss = [] if run.loss is None else [f"loss {run.loss:.4g}"]
    words = [*run.steps.words(run.fact.at), *loss, *figure_words(run.figures)]
    source = f" ({run.steps.source})" if run.steps.source else ""
    prefix = "was at " if run.fact.state == "unknown" else ""
    return f"{run.run}: {prefix}{', '.join(words)}{source}"
