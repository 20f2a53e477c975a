"""Options and set-up that several commands share: `--json`, `--wide`, the project, the provider."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from controller.cli.amount import AmountType
from controller.errors import PodctlError
from controller.project.project import Project, find
from controller.terminal.terminal import Terminal

if TYPE_CHECKING:
    from controller.providers.base import Provider

PATIENCE_SECONDS = 20.0  # a user waits at the terminal

F = TypeVar("F", bound=Callable[..., Any])


def json_option(function: F) -> F:
    """Add `--json`: one JSON object with a `schema` field instead of text."""
    return click.option(
        "--json",
        "json_",
        is_flag=True,
        expose_value=False,
        callback=_turn_json_on,
        help="Print one JSON object with a schema field instead of text.",
    )(function)


def _turn_json_on(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        ctx.find_root().obj.json = True


def wide_option(function: F) -> F:
    """Add `--wide`: tables on a terminal are as wide as their cells."""
    return click.option(
        "--wide",
        is_flag=True,
        expose_value=False,
        callback=_turn_wide_on,
        help="Do not fit tables to the width of the terminal.",
    )(function)


def _turn_wide_on(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        ctx.find_root().obj.wide = True


def yes_option(help_text: str) -> Callable[[F], F]:
    """Add `-y/--yes`, which answers the command's question."""
    return click.option("-y", "--yes", is_flag=True, help=help_text)


def give_secrets_option(function: F) -> F:
    """Add `--give-secrets`: consent, once per project, to pass the secrets that stages name."""
    return click.option(
        "--give-secrets",
        is_flag=True,
        help="Allow this project's jobs to receive the secrets that its stages name.",
    )(function)


def changes_options(function: F) -> F:
    """Add `--set`, `--gpu` and `--max-usd-per-hour`, which change stages for this run."""
    options = (
        click.option(
            "--set",
            "assignments",
            metavar="KEY=VALUE",
            multiple=True,
            help="Change a key of the stages for this run: parameters.learning_rate=1e-4.",
        ),
        click.option(
            "--gpu", "gpus", metavar="TYPE", multiple=True, help="Accept this GPU type; repeatable."
        ),
        click.option(
            "--max-usd-per-hour",
            type=AmountType(),
            metavar="USD",
            help="Accept no pod that costs more per hour.",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


def provider_of(
    project: Project, terminal: Terminal, patience_seconds: float | None = None
) -> Provider:
    """The project's provider. The account key is redacted from all output from now on."""
    from controller.project.provider import access_of, open_provider

    terminal.redact.add(access_of(project).api_key.reveal())
    return open_provider(project, patience_seconds or PATIENCE_SECONDS)


def project_driven(terminal: Terminal) -> Project:
    """The current project, for a command that may leave pods: at its end it reports what bills."""
    return _driven(terminal, find())


def open_project(terminal: Terminal) -> Project:
    """The current project, for a command that must work with an error in podctl.toml too.

    The error is a warning; what the command needs is taken from the state. Raises NotFound.
    """

    def tolerate(error: PodctlError) -> None:
        place = f" ({error.where})" if error.where else ""
        terminal.warn(f"{error.what}{place}: {error.cause or 'it is not there'}")
        terminal.say("going on with what is recorded of the runs; podctl run needs it mended")

    return find(tolerate=tolerate)


def open_project_driven(terminal: Terminal) -> Project:
    """`open_project`, for a command that may leave pods."""
    return _driven(terminal, open_project(terminal))


def _driven(terminal: Terminal, project: Project) -> Project:
    terminal.bills.drive(project.database)
    return project


def current_project() -> Project:
    """The project of the current folder. Raises NotFound."""
    return find()
