"""`podctl up`: rents a pod without a stage."""

from __future__ import annotations

import click

from controller.cli.amount import AmountType
from controller.cli.options import json_option, project_driven, yes_option
from controller.errors import UsageError
from controller.terminal.terminal import Terminal


@click.command("up")
@click.option("--gpu", "gpus", multiple=True, metavar="NAME", help="A GPU type; may be repeated.")
@click.option(
    "--gpu-count", type=click.IntRange(1, 8), default=1, show_default=True, help="GPUs of the pod."
)
@click.option("--cpu", metavar="FLAVOR", help="A CPU pod instead, such as cpu5c.")
@click.option(
    "--hours",
    type=AmountType(10_000),
    default=4.0,
    show_default=True,
    help="The pod is stopped after this, whatever happens.",
)
@click.option(
    "--max-usd-per-hour",
    type=AmountType(),
    metavar="USD",
    help="Accept no pod that costs more per hour.",
)
@click.option(
    "--pull",
    "outputs",
    multiple=True,
    metavar="GLOB",
    help="What `podctl down` downloads from its work folder [default: out/**].",
)
@click.option(
    "--budget",
    type=AmountType(),
    help="Limit of this pod's cost in US dollars.",
)
@yes_option("Rent without asking.")
@click.option("--unguarded", is_flag=True, help="Accept a pod whose guard is not armed.")
@json_option
@click.pass_obj
def command(
    terminal: Terminal,
    gpus: tuple[str, ...],
    gpu_count: int,
    cpu: str | None,
    hours: float,
    max_usd_per_hour: float | None,
    outputs: tuple[str, ...],
    budget: float | None,
    yes: bool,
    unguarded: bool,
) -> None:
    """Rent a pod without a stage, to work on: `podctl ssh devpod`, `exec`, `forward`, VS Code.

    It has the same guard and budget as a run's pod, and the project's own files in its work folder.
    A pod that an earlier run left warm is used if it fits. `podctl down` ends it.
    """
    from pydantic import ValidationError

    from controller.leases import dev_pod
    from controller.leases.options import RunOptions
    from jobs.catalog import message
    from jobs.stage import HardwareNeed

    if cpu is not None and gpus:
        raise UsageError("--cpu and --gpu cannot be combined", hint="podctl up --help")
    project = project_driven(terminal)
    try:
        need = HardwareNeed(
            gpus=gpus, gpu_count=gpu_count, cpu=cpu, max_usd_per_hour=max_usd_per_hour
        )
        wanted = dev_pod.stage(need, hours, outputs)
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(
            f"{'.'.join(map(str, first['loc']))}: {message(first)}", hint="podctl up --help"
        ) from error
    project.prepare()
    options = RunOptions(terminal, yes=yes, budget_usd=budget, follow=False, unguarded=unguarded)
    state = dev_pod.up(project, wanted, options)
    if terminal.json:
        run = state.current.run if state.current is not None else None
        terminal.emit_json("podctl/up/1", {"lease": state.lease, "run": run, "pod": state.pod})
