"""`podctl check`: the whole configuration, without network."""

from __future__ import annotations

import click

from controller.cli.names import stage_names
from controller.cli.options import current_project, json_option
from controller.project.project import FILE
from controller.terminal.terminal import Terminal


@click.command("check")
@click.argument("stages", nargs=-1, shell_complete=stage_names)
@json_option
@click.pass_obj
def command(terminal: Terminal, stages: tuple[str, ...]) -> int:
    """Check podctl.toml and the files that STAGES (default: all) name, without network.

    Keys, criteria, environments, parameters, GPU names, inputs, secrets and programs. Files that an
    earlier stage will make are not missed. What only the provider or the model hub knows is for
    `podctl plan`.
    """
    from controller.preflight.offline_check import check
    from controller.providers.emulator.catalog import CPUS, GPUS

    project = current_project()
    found = check(project, stages, tuple(GPUS.values()), tuple(CPUS.values()))
    if terminal.json:
        problems = [
            {"stage": one.stage, "kind": one.kind, **one.error.as_dict()} for one in found.problems
        ]
        document = {"stages": found.stages, "problems": problems, "remarks": found.remarks}
        terminal.emit_json("podctl/check/1", document)
    else:
        for remark in found.remarks:
            terminal.data(f"note: {remark}")
        for one in found.problems:
            terminal.verdict("FAIL", one.error.what)
            for label, text in (("where", one.error.where), ("cause", one.error.cause)):
                if text:
                    terminal.data(f"  {label}: {text}")
            if one.error.hint:
                terminal.data(f"  next: {one.error.hint}")
        if not found.problems:
            names = ", ".join(found.stages) or "no stage"
            terminal.verdict("PASS", f"{FILE}: {names}")
    return found.problems[0].error.exit_code if found.problems else 0
