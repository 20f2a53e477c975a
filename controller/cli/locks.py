"""`podctl locks`: lists the certificates of the stages that passed."""

from __future__ import annotations

import click

from controller.cli.names import stage_names
from controller.cli.options import current_project, json_option, wide_option
from controller.project.project import Project
from controller.terminal import formatting as words
from controller.terminal.terminal import Terminal


@click.command("locks")
@click.argument("stage", required=False, shell_complete=stage_names)
@wide_option
@json_option
@click.pass_obj
def command(terminal: Terminal, stage: str | None) -> None:
    """List locked stages with their cost; with STAGE, also the criteria that it met."""
    from controller.errors import NotFound
    from controller.locks.certificate import read, read_all

    project = current_project()
    if stage is None:
        certificates = read_all(project.root)
    else:
        certificate = read(project.root, stage)
        if certificate is None:
            raise NotFound(f"{stage} is not locked", hint=f"podctl plan {stage}")
        certificates = {stage: certificate}
    states = _states(project, list(certificates))
    if terminal.json:
        rows = [
            c.document() | {"sha256": c.sha256, "state": states[c.stage]}
            for c in certificates.values()
        ]
        terminal.emit_json("podctl/locks/1", {"locks": rows})
        return
    if not certificates:
        terminal.say("no stage is locked")
        return
    terminal.table(
        ("STAGE", "STATE", "LOCKED", "RUN", "FILES", "SIZE", "TIME", "COST", "SHA256"),
        [
            (
                c.stage,
                states[c.stage],
                words.moment(c.locked_at),
                c.run,
                len(c.artifacts),
                words.size(sum(a.size for a in c.artifacts)),
                words.span(c.cost.hours),
                words.usd(c.cost.usd),
                c.sha256[:12],
            )
            for c in certificates.values()
        ],
        optional=("SHA256", "HOURS", "FILES"),
    )
    terminal.hint_wide()
    if stage is not None:
        for result in certificates[stage].criteria:
            accepted = f" (accepted: {result.accepted})" if result.accepted else ""
            terminal.prose(
                f"{result.status}  {result.criterion}  {result.detail}".rstrip() + accepted
            )
        for text in certificates[stage].overrides:
            terminal.prose(f"set on the command line: {text}")
        for text in certificates[stage].warnings:
            terminal.prose(f"WARN  {text}")
        for path in certificates[stage].rendered:
            terminal.prose(f"rendered by the pod, not by podctl: {path}")


def _states(project: Project, names: list[str]) -> dict[str, str]:
    """`current` or `stale` for each locked stage; `podctl why` explains the difference."""
    from controller.locks.staleness import stale

    differences = stale(project) if names else {}
    return {name: "stale" if differences.get(name) else "current" for name in names}
