"""`podctl down`: ends the pod of `podctl up`."""

from __future__ import annotations

import click

from controller.cli.options import json_option, open_project_driven, yes_option
from controller.errors import UsageError
from controller.terminal.terminal import Terminal


@click.command("down")
@yes_option("End it without asking.")
@click.option(
    "--abandon",
    metavar="REASON",
    help="Terminate even if files were not downloaded. REASON is recorded.",
)
@json_option
@click.pass_obj
def command(terminal: Terminal, yes: bool, abandon: str | None) -> None:
    """Download the files that `podctl up --pull` named, and terminate its pod.

    The files are below .podctl/runs; `podctl take RUN` copies them into the project.
    """
    from controller.leases.dev_pod import down
    from controller.leases.options import StopOptions

    if abandon is not None and not abandon.strip():
        raise UsageError("--abandon needs a reason", hint='podctl down --abandon "why"')
    project = open_project_driven(terminal)
    leases = down(project, StopOptions(terminal=terminal, yes=yes, abandon=abandon))
    if terminal.json:
        terminal.emit_json("podctl/down/1", {"leases": leases})
        return
    for lease in leases:
        terminal.say(lease.line)
        if lease.runs:
            terminal.say(f"next: podctl take {lease.runs[-1].run} copies its files, if it has any")
