"""`podctl completion`: the script by which a shell completes podctl's words."""

from __future__ import annotations

import click

from controller.terminal.terminal import Terminal

VARIABLE = "_PODCTL_COMPLETE"


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the script that lets SHELL complete commands, options, stages, runs and pods."""
    from click.shell_completion import get_completion_class

    made = get_completion_class(shell)
    assert made is not None
    root = ctx.find_root()
    terminal = ctx.obj
    assert isinstance(terminal, Terminal)
    text = made(root.command, {}, "podctl", VARIABLE).source()
    terminal.data(text, end="")
