"""`podctl take`: the files of a run that did not pass, put into the project."""

from __future__ import annotations

import click

from controller.cli.options import json_option, project_here
from controller.terminal.terminal import Terminal


@click.command("take")
@click.argument("run")
@json_option
@click.pass_obj
def command(terminal: Terminal, run: str) -> None:
    """Copy the files that came here of RUN (or of a stage's newest run) into the project.

    Nothing is locked and nothing overwritten: what stands there moves to .podctl/aside.
    """
    from controller.leases.take import take
    from state.project_lock import acquire

    project = project_here()
    project.prepare()
    with acquire(project.state_dir, f"take {run}"):
        name, taken = take(project, run, terminal)
    if terminal.json:
        terminal.emit_json("podctl/take/1", {"run": name, "files": taken})
        return
    for path in taken:
        terminal.data(path)
    terminal.say(f"{len(taken)} files of {name} are in the project now, as copies; none is locked")
