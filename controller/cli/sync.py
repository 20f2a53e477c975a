"""`podctl sync`: resumes every unfinished run."""

from __future__ import annotations

from functools import partial

import click

from controller.cli.names import run_names
from controller.cli.options import give_secrets_option, json_option, open_project_driven, yes_option
from controller.terminal.terminal import Terminal


@click.command("sync")
@click.argument("stages", nargs=-1, shell_complete=run_names)
@yes_option("Rent a replacement pod, or start a parked one, without asking.")
@click.option("--detach", is_flag=True, help="Do not wait for running jobs.")
@click.option("--unguarded", is_flag=True, help="Accept a pod whose guard is not armed.")
@give_secrets_option
@json_option
@click.pass_obj
def command(
    terminal: Terminal,
    stages: tuple[str, ...],
    yes: bool,
    detach: bool,
    unguarded: bool,
    give_secrets: bool,
) -> None:
    """Resume unfinished runs of STAGES (default: all).

    podctl downloads, verifies, locks and shuts down. It starts a parked pod again, after it asked,
    if files of the run are only on that pod. STAGES may also be names of runs.
    """
    from controller.leases.commands import sync
    from controller.leases.options import RunOptions
    from controller.leases.run_result import results_of, unfinished_runs
    from controller.orphans.warnings import with_orphan_warnings
    from state.contention import Contention

    project = open_project_driven(terminal)
    project.prepare()
    options = RunOptions(
        terminal=terminal,
        yes=yes,
        detach=detach,
        follow=False,
        unguarded=unguarded,
        give_secrets=give_secrets,
        stages=stages,
    )
    # The database may be busy: reading it waits as the rest of the command does.
    read = partial(unfinished_runs, project)
    unfinished = Contention(terminal.warn).call(read) if terminal.json else ()
    with with_orphan_warnings(project, terminal):
        sync(project, options)
    if terminal.json:
        terminal.emit_json("podctl/sync/1", {"runs": results_of(project, unfinished)})
