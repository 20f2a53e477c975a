"""`podctl stop`: stops a run early without losing its files."""

from __future__ import annotations

import click

from controller.cli.amount import AmountType
from controller.cli.names import subject_names
from controller.cli.options import json_option, open_project_driven, yes_option
from controller.errors import UsageError
from controller.terminal.terminal import Terminal


@click.command("stop")
@click.argument("stage", required=False, shell_complete=subject_names)
@click.option("--all", "every", is_flag=True, help="Every unfinished run and every waiting pod.")
@yes_option("Without STAGE: the same as --all.")
@click.option(
    "--terminate", is_flag=True, help="Terminate the pod once all of its files are downloaded."
)
@click.option(
    "--abandon",
    metavar="REASON",
    help="Terminate even if artifacts were not downloaded. REASON is recorded.",
)
@click.option(
    "--wait",
    type=AmountType(),
    default=30.0,
    show_default=True,
    metavar="MINUTES",
    help="How long to wait for another podctl process that controls the run.",
)
@json_option
@click.pass_obj
def command(
    terminal: Terminal,
    stage: str | None,
    every: bool,
    yes: bool,
    terminate: bool,
    abandon: str | None,
    wait: float,
) -> None:
    """Let the job of STAGE save, download its files, park its pod.

    STAGE may be a run, a pod or a lease; nothing else is touched. A pod that waits without a job,
    and whose files are all downloaded, is terminated. Without STAGE, the only run there is; with -y
    or --all, every one.

    If podctl controls the run in another terminal, that process does the work and ends with
    "stopped".
    """
    from controller.leases.commands import stop
    from controller.leases.options import StopOptions

    if abandon is not None and not abandon.strip():
        raise UsageError("--abandon needs a reason", hint='podctl stop --abandon "why"')
    if every and stage is not None:
        raise UsageError("--all and a name cannot be combined", hint="podctl stop --help")
    project = open_project_driven(terminal)
    project.prepare()
    options = StopOptions(
        terminal=terminal,
        yes=yes,
        terminate=terminate,
        abandon=abandon,
        every=every or (yes and stage is None),
        wait_seconds=60.0 * wait,
    )
    leases = stop(project, stage, options)
    if terminal.json:
        terminal.emit_json("podctl/stop/1", {"leases": leases})
        return
    for lease in leases:
        terminal.say(lease.line)
