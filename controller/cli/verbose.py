"""`-v/--verbose`, which every command has: the lines of `.podctl/podctl.log` on stderr too."""

from __future__ import annotations

import click


def _turn_on(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        ctx.find_root().obj.verbose = True


def with_verbose(command: click.Command) -> click.Command:
    """`command` and its subcommands with the option, added once."""
    if all(option.name != "verbose" for option in command.params):
        verbose_option(command)
    if isinstance(command, click.Group):
        for child in command.commands.values():
            with_verbose(child)
    return command


# Shared by all commands; the value is kept on the Terminal and not passed to a function.
verbose_option = click.option(
    "-v",
    "--verbose",
    is_flag=True,
    expose_value=False,
    callback=_turn_on,
    help="Show each API request, SSH command and decision on stderr.",
)
