"""`podctl take`: copies the files of a run that did not pass into the project."""

from __future__ import annotations

import click

from controller.cli.names import run_names
from controller.cli.options import json_option, open_project
from controller.terminal import formatting
from controller.terminal.terminal import Terminal


@click.command("take")
@click.argument("run", shell_complete=run_names)
@json_option
@click.pass_obj
def command(terminal: Terminal, run: str) -> None:
    """Copy the downloaded files of RUN (or of a stage's newest run) into the project.

    podctl locks nothing and overwrites nothing: it moves existing files to .podctl/aside.
    """
    from controller.leases.take import take
    from state.project_lock import acquire

    project = open_project(terminal)
    project.prepare()
    with acquire(project.state_dir, f"take {run}"):
        name, taken = take(project, run, terminal)
    if terminal.json:
        terminal.emit_json("podctl/take/1", {"run": name, "files": taken})
        return
    for path in taken:
        terminal.data(path)
    terminal.say(
        f"copied {formatting.count(len(taken), 'file')} of {name} into the project; "
        "none of them is locked"
    )
