"""`podctl schema`: podctl.toml as a JSON schema, for editors."""

from __future__ import annotations

import click

from controller.terminal.terminal import Terminal


@click.command("schema")
@click.option("--write", is_flag=True, help="Write it to where the #:schema line leads editors.")
@click.pass_obj
def command(terminal: Terminal, write: bool) -> None:
    """Print the JSON schema of podctl.toml, with a description of every key.

    Editors with Taplo or Even Better TOML complete and check podctl.toml by its first line,
    `#:schema ./.podctl/podctl.schema.json`. That file is not in git; --write makes it again.
    """
    from controller.project.schema import text, write_schema

    if not write:
        terminal.data(text(), end="")
        return
    from controller.cli.options import current_project
    from controller.project.project import SCHEMA_FILE

    project = current_project()
    project.prepare()
    write_schema(project)
    terminal.say(f"wrote {project.state_dir / SCHEMA_FILE}")
