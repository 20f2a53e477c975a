"""`podctl status`: shows stages, runs and pods, with source and age of each state."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from controller.cli.names import run_names
from controller.cli.options import json_option, open_project, provider_of, wide_option
from controller.errors import ConnectionLost, UsageError
from controller.project.project import Project
from controller.terminal.terminal import Terminal

if TYPE_CHECKING:
    import sqlite3

    from controller.status.overview import Overview
    from controller.status.refresh import Unreachable

PATIENCE_SECONDS = 5.0  # without a response by then, a state is unknown


@click.command("status")
@click.argument("name", metavar="[STAGE|RUN]", required=False, shell_complete=run_names)
@click.option(
    "--cached", is_flag=True, help="Show local records only; contact neither pods nor provider."
)
@click.option("-a", "--all", "every", is_flag=True, help="Show runs that ended long ago too.")
@click.option("-w", "--watch", "watched", is_flag=True, help="Show it again until Ctrl-C.")
@wide_option
@json_option
@click.pass_obj
def command(terminal: Terminal, name: str | None, cached: bool, every: bool, watched: bool) -> int:
    """Show runs, pods and stages, or those of one stage, each with its source and age.

    A state was reported within the last minute, else it is `unknown`. Exits with 0 if every state
    is known, and with 8 if the state of something that may run or bill is unknown.
    """
    from controller.cli.status_view import show
    from state.database import open_database

    if watched and terminal.json:
        raise UsageError("--watch and --json cannot be combined")
    project = open_project(terminal)
    project.prepare(reading=True)
    connection = open_database(project.database, reading=True)
    every = every or name is not None
    try:
        if watched:
            return _watch(terminal, project, connection, name, cached=cached, every=every)
        overview, failures = _known(terminal, project, connection, name, cached=cached)
    finally:
        connection.close()
    if terminal.json:
        _emit(terminal, overview, failures, cached)
    else:
        show(terminal, overview, every=every)
        terminal.hint_wide()
        for reason in failures:
            terminal.warn(reason)
    return ConnectionLost.exit_code if overview.unknown or failures else 0


def _watch(
    terminal: Terminal,
    project: Project,
    connection: sqlite3.Connection,
    name: str | None,
    *,
    cached: bool,
    every: bool,
) -> int:
    from controller.cli.status_watch import watch
    from controller.clock import SystemClock
    from controller.status.overview import with_stages
    from state.project_lock import holder

    def look(due: bool) -> tuple[Overview, tuple[str, ...]]:
        # A process that drives the project asks more often than this one would.
        here = cached or not due or holder(project.state_dir) is not None
        overview, failures = _known(terminal, project, connection, name, cached=here)
        return with_stages(overview, project) if not (cached or name) else overview, failures

    return watch(terminal, look, SystemClock(), every=every)


def _known(
    terminal: Terminal,
    project: Project,
    connection: sqlite3.Connection,
    name: str | None,
    *,
    cached: bool,
) -> tuple[Overview, tuple[str, ...]]:
    """The overview, after asking provider and pods unless `cached`, and who did not respond."""
    from controller.status.refresh import Unreachable, ask

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
    return overview, unreachable.reasons


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
        values = {name: row.pop(name) for name in ("loss", "loss_nan", "figures")}
        row["progress"] = steps | values if run.steps or run.loss is not None else None
        del row["steps"]
    extra = {"cached": cached, "unknown": overview.unknown, "failures": list(failures)}
    terminal.emit_json("podctl/status/1", document | extra)
