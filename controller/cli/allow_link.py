"""`podctl allow-link`: a link of the user's own that outputs may be written through."""

from __future__ import annotations

import os
from pathlib import Path

import click

from controller.cli.options import project_here
from controller.errors import NotFound, UsageError
from controller.terminal.terminal import Terminal


@click.command("allow-link")
@click.argument("path")
@click.pass_obj
def command(terminal: Terminal, path: str) -> None:
    """Let outputs be written through the link PATH, such as checkpoints on a larger disk.

    Remembered in your own configuration, outside of the project, for where the link leads now.
    """
    from controller.project.output_paths import allow

    project = project_here()
    here = Path(os.path.abspath(path))
    root = Path(os.path.realpath(project.root))
    above = Path(os.path.realpath(here.parent))
    if not above.is_relative_to(root):
        raise UsageError(f"{path} is not inside the project", where=str(root))
    link = (above / here.name).relative_to(root).as_posix()
    if not (root / link).is_symlink():
        raise NotFound(
            f"{path} is no link", where=str(root), hint="only a link needs to be allowed"
        )
    target = allow(root, link)
    terminal.say(f"outputs below {link} may be written to {target}")
