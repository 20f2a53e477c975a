"""`podctl run`: the main job."""

from __future__ import annotations

import click

from controller.cli.options import give_secrets_option, json_option, project_driven, yes_option
from controller.errors import UsageError
from controller.terminal.terminal import Terminal


@click.command("run")
@click.argument("stages", nargs=-1, required=True)
@yes_option("Rent without asking.")
@click.option("--budget", type=click.FloatRange(min=0, min_open=True), help="US dollars at most.")
@click.option("--keep", "disposal", flag_value="keep", help="Leave the pod running at the end.")
@click.option("--park", "disposal", flag_value="park", help="Stop the pod at the end; disk bills.")
@click.option("--terminate", "disposal", flag_value="terminate", help="End the pod for good.")
@click.option("--detach", is_flag=True, help="Come back as soon as the job runs.")
@click.option("--follow/--no-follow", default=True, help="Show the job's log.")
@click.option("--fresh", is_flag=True, help="Begin at step 0, whatever an earlier run left here.")
@click.option("--resume", metavar="RUN", help="Go on from what this attempt left, as it is.")
@click.option("--unguarded", is_flag=True, help="Accept a pod whose dead-man switch is not armed.")
@give_secrets_option
@json_option
@click.pass_obj
def command(
    terminal: Terminal,
    stages: tuple[str, ...],
    yes: bool,
    budget: float | None,
    disposal: str | None,
    detach: bool,
    follow: bool,
    fresh: bool,
    resume: str | None,
    unguarded: bool,
    give_secrets: bool,
) -> None:
    """Rent a pod, run STAGES on it (or `all`), pull, verify, lock, shut down.

    An unfinished run of the same stages is carried on; one that is over, was given the same and
    failed nothing but its criteria is judged again first, for $0. A new run goes on from what an
    earlier attempt left here when command, parameters and inputs are the same. Ctrl-C leaves; what
    runs goes on running.
    """
    from controller.leases.commands import run_stages
    from controller.leases.options import RunOptions
    from controller.orphans.warnings import with_orphan_warnings
    from controller.project.consent import introduce
    from controller.project.stages import select

    if fresh and resume:
        raise UsageError("--fresh and --resume exclude each other")
    project = project_driven(terminal)
    chosen = select(project, stages)
    introduce(project, chosen, terminal)  # before anything of ours is in the folder
    names = [stage.name for stage in chosen]
    project.prepare()
    options = RunOptions(
        terminal=terminal,
        yes=yes,
        budget_usd=budget,
        disposal=disposal,
        detach=detach,
        follow=follow and not terminal.json,
        fresh=fresh,
        resume=resume,
        unguarded=unguarded,
        give_secrets=give_secrets,
    )
    with with_orphan_warnings(project, terminal):
        run_stages(project, names, options)
