"""`podctl run`: rents a pod, runs stages, downloads, verifies, locks, shuts down."""

from __future__ import annotations

from dataclasses import replace

import click

from controller.cli.amount import AmountType
from controller.cli.duration import DurationType
from controller.cli.names import run_names, stage_names
from controller.cli.options import (
    changes_options,
    give_secrets_option,
    json_option,
    project_driven,
    yes_option,
)
from controller.errors import DetachedAsAsked, UsageError
from controller.terminal.terminal import Terminal


@click.command("run")
@click.argument("stages", nargs=-1, required=True, shell_complete=stage_names)
@yes_option("Rent without asking.")
@click.option(
    "--budget",
    type=AmountType(),
    help="Limit of this run's cost in US dollars.",
)
@click.option(
    "--keep", "disposal", flag_value="keep", help="Leave the pod running at the end; it bills."
)
@click.option(
    "--park", "disposal", flag_value="park", help="Stop the pod at the end; its disk bills."
)
@click.option(
    "--terminate", "disposal", flag_value="terminate", help="Terminate the pod at the end."
)
@click.option("--detach", is_flag=True, help="Return once the job is running.")
@click.option(
    "--wait",
    "wait_seconds",
    type=DurationType(),
    help="Without capacity, ask again for this long (6h, 90m); a later run or sync resumes it.",
)
@click.option("--follow/--no-follow", default=True, help="Show the job's log.")
@click.option(
    "--fresh", is_flag=True, help="Start at step 0, even if an earlier run left a checkpoint."
)
@click.option(
    "--resume",
    metavar="RUN",
    shell_complete=run_names,
    help="Resume from the files of this run, unchanged.",
)
@click.option("--unguarded", is_flag=True, help="Accept a pod whose guard is not armed.")
@changes_options
@give_secrets_option
@json_option
@click.pass_obj
def command(
    terminal: Terminal,
    stages: tuple[str, ...],
    yes: bool,
    budget: float | None,
    disposal: str | None,
    detach: bool,
    wait_seconds: float | None,
    follow: bool,
    fresh: bool,
    resume: str | None,
    unguarded: bool,
    assignments: tuple[str, ...],
    gpus: tuple[str, ...],
    max_usd_per_hour: float | None,
    give_secrets: bool,
) -> None:
    """Rent a pod, run STAGES on it (or `all`), download, verify, lock, shut down.

    podctl resumes an unfinished run of the same stages. If a finished run with the same inputs
    failed only its criteria, podctl first checks them again, without a pod. A new run resumes from
    downloaded checkpoints if command, parameters and inputs are the same. Ctrl-C detaches; the job
    and the pod keep running.
    """
    from controller.leases.commands import run_stages
    from controller.leases.options import RunOptions
    from controller.leases.run_result import newest_runs, results_of
    from controller.orphans.warnings import with_orphan_warnings
    from controller.project.changes import changes_of
    from controller.project.consent import introduce
    from controller.project.stages import select

    if fresh and resume:
        raise UsageError("--fresh and --resume cannot be combined")
    changes = changes_of(stages, assignments, gpus, max_usd_per_hour)
    project = replace(project_driven(terminal), changes=changes)
    chosen = select(project, stages)
    introduce(project, chosen, terminal)  # before podctl creates anything in the folder
    names = [stage.name for stage in chosen]
    project.prepare()
    options = RunOptions(
        terminal=terminal,
        yes=yes,
        budget_usd=budget,
        disposal=disposal,
        detach=detach,
        wait_seconds=wait_seconds,
        follow=follow and not terminal.json,
        fresh=fresh,
        resume=resume,
        unguarded=unguarded,
        give_secrets=give_secrets,
    )
    with with_orphan_warnings(project, terminal):
        try:
            run_stages(project, names, options)
        except DetachedAsAsked as detached:
            terminal.notice(detached)
    if terminal.json:
        runs = results_of(project, newest_runs(project, names))
        terminal.emit_json("podctl/run/1", {"runs": runs})
