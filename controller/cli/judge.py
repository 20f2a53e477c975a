"""`podctl judge`: the files of a finished run against the criteria as they are now, for $0."""

from __future__ import annotations

import click

from controller.cli.options import json_option, project_here
from controller.terminal.terminal import Terminal


@click.command("judge")
@click.argument("stage")
@click.option(
    "--accept",
    default="",
    metavar="REASON",
    help="Lock although a statistical criterion is INCONCLUSIVE or the job ended with an error.",
)
@json_option
@click.pass_obj
def command(terminal: Terminal, stage: str, accept: str) -> None:
    """Judge the files of the newest finished run of STAGE (or of that run) again, and lock it.

    By the criteria as podctl.toml has them now. Without a pod, without a provider, for $0: the
    lock has the command, inputs and cost of that run.
    """
    from controller.leases.rejudge import judge

    project = project_here()
    project.prepare()
    found, judgement = judge(project, stage, accept.strip(), terminal)
    if terminal.json:
        document = {
            "stage": found.stage.name,
            "run": found.run,
            "verdict": judgement.verdict,
            "findings": [one.as_dict() for one in judgement.findings],
            "warnings": judgement.warnings,
        }
        terminal.emit_json("podctl/judge/1", document)
