"""`podctl rehearse`: runs a stage on the emulator to find what would fail on a paid GPU."""

from __future__ import annotations

import time
from contextlib import closing

import click

from controller.cli.amount import AmountType
from controller.cli.names import stage_names
from controller.cli.options import current_project, json_option
from controller.terminal.terminal import Terminal

MINUTES = 15.0


@click.command("rehearse")
@click.argument("stage", shell_complete=stage_names)
@click.option(
    "--minutes",
    type=AmountType(600),
    default=MINUTES,
    show_default=True,
    help="Time limit of the job; then it must save and stop.",
)
@json_option
@click.pass_obj
def command(terminal: Terminal, stage: str, minutes: float) -> int:
    """Run STAGE with your own podctl.toml, code and data on the emulator.

    Built-in stages use the small model and a few steps; your own stages run unchanged. The pod's
    host is killed once during the run. Nothing is rented, and the project is not changed. Exits
    with 1 if a phase failed.
    """
    from controller.clock import SystemClock
    from controller.project.consent import introduce
    from controller.providers.emulator.requirements import check_installed

    check_installed()
    from controller.leases.moving_line import MovingLine
    from controller.leases.progress_line import rehearsal_line
    from controller.rehearsal.rehearsal import Rehearsal
    from controller.rehearsal.report import FAIL, OPEN, PASS

    project = current_project()
    introduce(project, [project.stage(stage)], terminal, here=True)
    started = time.monotonic()
    moving = MovingLine(terminal, SystemClock())

    def show(message: str, left: float) -> None:
        moving.tick(rehearsal_line(message, left, terminal.width))

    rehearsal = Rehearsal(project, project.stage(stage), minutes, terminal.say, show, moving.moved)
    phases = []
    with closing(rehearsal.lines()) as lines:
        for line in lines:
            phases.append(line)
            if not terminal.json:
                fix = f"  -> {line.mend}" if line.mend and line.status != PASS else ""
                terminal.verdict(line.status, f"{line.phase}: {line.detail}{fix}")
    failed = [line.phase for line in phases if line.status == FAIL]
    seconds = round(time.monotonic() - started, 1)
    if terminal.json:
        document = {"stage": stage, "ok": not failed, "seconds": seconds, "phases": phases}
        terminal.emit_json("podctl/rehearse/1", document)
    elif failed:
        terminal.say(f"these checks would also fail on a real GPU: {', '.join(failed)}")
    elif unclear := [line.phase for line in phases if line.status == OPEN]:
        terminal.say(f"{stage}: nothing failed; not tested: {', '.join(unclear)}")
    else:
        terminal.say(f"{stage}: rehearsal passed in {seconds:.0f} s (no cost)")
    return 1 if failed else 0
