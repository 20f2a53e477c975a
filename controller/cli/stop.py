"""`podctl stop`: end a run early, and lose nothing by it."""

from __future__ import annotations

import click

from controller.cli.options import json_option, project_driven, yes_option
from controller.errors import UsageError
from controller.terminal.terminal import Terminal


@click.command("stop")
@click.argument("stage", required=False)
@yes_option("Do it without asking.")
@click.option("--terminate", is_flag=True, help="End the pod for good once all is here.")
@click.option(
    "--abandon",
    metavar="REASON",
    help="End the pod although artifacts are only there; REASON is kept.",
)
@click.option(
    "--wait",
    type=click.FloatRange(min=0, min_open=True),
    default=30.0,
    show_default=True,
    metavar="MINUTES",
    help="For another podctl that drives the run: it is asked, and waited for.",
)
@json_option
@click.pass_obj
def command(
    terminal: Terminal,
    stage: str | None,
    yes: bool,
    terminate: bool,
    abandon: str | None,
    wait: float,
) -> None:
    """Let the job of STAGE (or every unfinished run) save, pull what it wrote, park its pod.

    Where podctl runs in another terminal, that one is asked, does it, and ends with "stopped".
    """
    from controller.leases.commands import stop
    from controller.leases.options import StopOptions

    if abandon is not None and not abandon.strip():
        raise UsageError("--abandon wants a reason", hint='podctl stop --abandon "why"')
    project = project_driven(terminal)
    project.prepare()
    options = StopOptions(
        terminal=terminal, yes=yes, terminate=terminate, abandon=abandon, wait_seconds=60.0 * wait
    )
    found = stop(project, stage, options)
    if terminal.json:
        terminal.emit_json("podctl/stop/1", {"leases": found})
        return
    for one in found:
        terminal.say(one.line)
