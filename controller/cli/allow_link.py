"""`podctl allow-link`: allows outputs to be written through a link of the user."""

from __future__ import annotations

import os
from pathlib import Path

import click

from controller.cli.options import current_project
from controller.errors import NotFound, UsageError
from controller.terminal.terminal import Terminal


@click.command("allow-link")
@click.argument("path")
@click.pass_obj
def command(terminal: Terminal, path: str) -> None:
    """Allow outputs to be written through the link PATH, such as checkpoints on a larger disk.

    The permission is stored in your user configuration, outside the project. It is valid for the
    link's present target only.
    """
    from controller.project.output_paths import allow

    project = current_project()
    chosen = Path(os.path.abspath(path))
    root = Path(os.path.realpath(project.root))
    above = Path(os.path.realpath(chosen.parent))
    if not above.is_relative_to(root):
        raise UsageError(f"{path} is not inside the project", where=str(root))
    link = (above / chosen.name).relative_to(root).as_posix()
    if not (root / link).is_symlink():
        raise NotFound(
            f"{path} is not a link", where=str(root), hint="only a link needs permission"
        )
    target = allow(root, link)
    terminal.say(f"outputs below {link} will be written to {target}")
