"""`podctl locks`: the certificates of the stages that passed."""

from __future__ import annotations

import click

from controller.cli.options import json_option, project_here
from controller.project.project import Project
from controller.terminal import formatting as words
from controller.terminal.terminal import Terminal


@click.command("locks")
@click.argument("stage", required=False)
@json_option
@click.pass_obj
def command(terminal: Terminal, stage: str | None) -> None:
    """List locked stages with what they cost; with STAGE, the criteria it passed by."""
    from controller.errors import NotFound
    from controller.locks.certificate import read, read_all

    project = project_here()
    if stage is None:
        found = read_all(project.root)
    else:
        one = read(project.root, stage)
        if one is None:
            raise NotFound(f"{stage} is not locked", hint=f"podctl plan {stage}")
        found = {stage: one}
    states = _states(project, list(found))
    if terminal.json:
        rows = [
            c.document() | {"sha256": c.sha256, "state": states[c.stage]} for c in found.values()
        ]
        terminal.emit_json("podctl/locks/1", {"locks": rows})
        return
    if not found:
        terminal.say("no stage is locked")
        return
    terminal.table(
        ("STAGE", "STATE", "LOCKED", "RUN", "FILES", "SIZE", "HOURS", "COST", "SHA256"),
        [
            (
                c.stage,
                states[c.stage],
                words.moment(c.locked_at),
                c.run,
                len(c.artifacts),
                words.size(sum(a.size for a in c.artifacts)),
                words.hours(c.cost.hours),
                words.usd(c.cost.usd),
                c.sha256[:12],
            )
            for c in found.values()
        ],
    )
    if stage is not None:
        for met in found[stage].criteria:
            accepted = f" (accepted: {met.accepted})" if met.accepted else ""
            terminal.data(f"{met.status}  {met.criterion}  {met.detail}".rstrip() + accepted)
        for text in found[stage].warnings:
            terminal.data(f"WARN  {text}")
        for path in found[stage].rendered:
            terminal.data(f"rendered by the pod, not by podctl: {path}")


def _states(project: Project, names: list[str]) -> dict[str, str]:
    """`current` or `stale` for each locked stage; `podctl why` tells what differs."""
    from controller.locks.staleness import stale

    differing = stale(project) if names else {}
    return {name: "stale" if differing.get(name) else "current" for name in names}
