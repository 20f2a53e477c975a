"""`podctl judge`: checks the files of a finished run against the current criteria."""

from __future__ import annotations

import click

from controller.cli.names import run_names
from controller.cli.options import current_project, json_option
from controller.terminal.terminal import Terminal


@click.command("judge")
@click.argument("stage", shell_complete=run_names)
@click.option(
    "--accept",
    default="",
    metavar="REASON",
    help="Lock even if a statistical criterion is INCONCLUSIVE or the job ended with an error.",
)
@json_option
@click.pass_obj
def command(terminal: Terminal, stage: str, accept: str) -> None:
    """Check the files of STAGE's newest finished run (or of the named run) again, and lock it.

    podctl uses the criteria that are in podctl.toml now. It contacts neither pod nor provider, and
    costs nothing. The lock records the command, inputs and cost of that run.
    """
    from controller.leases.rejudge import judge

    project = current_project()
    project.prepare()
    judged, judgement = judge(project, stage, accept.strip(), terminal)
    if terminal.json:
        document = {
            "stage": judged.stage.name,
            "run": judged.run,
            "verdict": judgement.verdict,
            "findings": [finding.as_dict() for finding in judgement.findings],
            "warnings": judgement.warnings,
        }
        terminal.emit_json("podctl/judge/1", document)
        return
    from controller.leases.passed_report import passed_lines

    for line in passed_lines(project, [judged.stage.name]):
        terminal.say(line)
