"""`podctl rehearse`: what would fail on the paid GPU, found out for nothing."""

from __future__ import annotations

import time
from contextlib import closing

import click

from controller.cli.options import json_option, project_here
from controller.terminal.terminal import Terminal

MINUTES = 15.0


@click.command("rehearse")
@click.argument("stage")
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, max=600, min_open=True),
    default=MINUTES,
    show_default=True,
    help="How long the job may take; then it is told to save and stop.",
)
@json_option
@click.pass_obj
def command(terminal: Terminal, stage: str, minutes: float) -> int:
    """Run STAGE with your own podctl.toml, code and data on the embedded cloud.

    podctl's own stages take the small model and a few steps, yours run as they are. The pod's host
    is killed once on the way. Nothing is rented, and nothing of the project is changed. Ends with 1
    when a phase failed.
    """
    from controller.clock import SystemClock
    from controller.project.consent import introduce
    from controller.providers.emulator.requirements import check_installed

    check_installed()
    from controller.leases.moving_line import MovingLine
    from controller.leases.progress_line import rehearsal_line
    from controller.rehearsal.rehearsal import Rehearsal
    from controller.rehearsal.report import FAIL, OPEN, PASS

    project = project_here()
    introduce(project, [project.stage(stage)], terminal, here=True)
    started = time.monotonic()
    moving = MovingLine(terminal, SystemClock())

    def show(said: str, left: float) -> None:
        moving.tick(rehearsal_line(said, left, terminal.width))

    rehearsal = Rehearsal(project, project.stage(stage), minutes, terminal.say, show, moving.moved)
    found = []
    with closing(rehearsal.lines()) as lines:
        for line in lines:
            found.append(line)
            if not terminal.json:
                mend = f"  -> {line.mend}" if line.mend and line.status != PASS else ""
                terminal.verdict(line.status, f"{line.phase}: {line.detail}{mend}")
    failed = [line.phase for line in found if line.status == FAIL]
    seconds = round(time.monotonic() - started, 1)
    if terminal.json:
        document = {"stage": stage, "ok": not failed, "seconds": seconds, "phases": found}
        terminal.emit_json("podctl/rehearse/1", document)
    elif failed:
        terminal.say(f"{stage} would fail on the paid GPU too: {', '.join(failed)}")
    elif unclear := [line.phase for line in found if line.status == OPEN]:
        terminal.say(f"nothing failed; not shown for {stage}: {', '.join(unclear)}")
    else:
        terminal.say(f"nothing in the way of {stage}; it took {seconds:.0f} s and cost nothing")
    return 1 if failed else 0
