"""`podctl sync`: the same loop over everything that is unfinished."""

from __future__ import annotations

import click

from controller.cli.options import give_secrets_option, json_option, project_driven, yes_option
from controller.terminal.terminal import Terminal


@click.command("sync")
@click.argument("stages", nargs=-1)
@yes_option("Rent again where a pod was lost, or start one to fetch from it, without asking.")
@click.option("--detach", is_flag=True, help="Do not wait for jobs that are running.")
@click.option("--unguarded", is_flag=True, help="Accept a pod whose dead-man switch is not armed.")
@give_secrets_option
@json_option
@click.pass_obj
def command(
    terminal: Terminal,
    stages: tuple[str, ...],
    yes: bool,
    detach: bool,
    unguarded: bool,
    give_secrets: bool,
) -> None:
    """Carry unfinished runs (of STAGES, or all) on: pull, verify, lock, shut down.

    A parked pod that alone has what its run wrote is started again to fetch it, after a yes.
    STAGES may also be runs.
    """
    from controller.leases.commands import sync
    from controller.leases.options import RunOptions
    from controller.orphans.warnings import with_orphan_warnings

    project = project_driven(terminal)
    project.prepare()
    options = RunOptions(
        terminal=terminal,
        yes=yes,
        detach=detach,
        follow=False,
        unguarded=unguarded,
        give_secrets=give_secrets,
        stages=stages,
    )
    with with_orphan_warnings(project, terminal):
        sync(project, options)
