"""`podctl verify`: are the artifacts here still those that were certified?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from controller.cli.options import json_option, project_here
from controller.errors import NotFound, UsageError, VerificationFailed
from controller.project import Project
from controller.terminal import Terminal

if TYPE_CHECKING:
    from controller.certificate import Certificate
    from controller.safekeeping import Problem


@click.command("verify")
@click.argument("stages", nargs=-1)
@click.option("--all", "all_", is_flag=True, help="Every locked stage.")
@json_option
@click.pass_obj
def command(terminal: Terminal, stages: tuple[str, ...], all_: bool) -> int:
    """Re-hash the artifacts of STAGES (or --all) and compare with their certificates."""
    project = project_here()
    chosen = _chosen(project, stages, all_)
    found = {name: _problems(project, one) for name, one in chosen.items()}
    if all_ or not stages:
        found |= _missing_certificates(project, chosen)
        found |= _plan_problems(project, chosen)
    if not found and not terminal.json:
        terminal.say("no stage is locked")
    bad = {name: problems for name, problems in found.items() if problems}
    if terminal.json:
        rows = [
            {"stage": name, "verdict": "FAIL" if name in bad else "PASS", "problems": problems}
            for name, problems in found.items()
        ]
        terminal.emit_json("podctl/verify/1", {"stages": rows})
        return VerificationFailed.exit_code if bad else 0
    for name, problems in found.items():
        verdict = "FAIL" if name in bad else "PASS"
        count = f"{len(chosen[name].artifacts)} files" if name in chosen else "the plan's statement"
        terminal.data(f"{verdict}  {name}  {count}")
        for problem in problems:
            terminal.data(f"      {problem.path}: {problem.what}")
    if bad:
        raise VerificationFailed(
            f"{', '.join(bad)}: the artifacts are not those that were certified",
            where=str(project.root),
            cause="they were altered, added or lost here since",
            hint="restore them from a copy, or podctl unlock <stage> --reason … and run it again",
        )
    return 0


def _chosen(project: Project, stages: tuple[str, ...], all_: bool) -> Mapping[str, Certificate]:
    from controller.certificate import read, read_all

    if all_ or not stages:
        if stages:
            raise UsageError("--all and names of stages exclude one another")
        return read_all(project.root)
    chosen = {}
    for name in stages:
        certificate = read(project.root, name)
        if certificate is None:
            raise NotFound(f"{name} is not locked", hint=f"podctl run {name}")
        chosen[name] = certificate
    return chosen


def _problems(project: Project, certificate: Certificate) -> tuple[Problem, ...]:
    """What differs from the certificate, and the certificate from the database's record."""
    from controller.safekeeping import check_recorded, verify_artifacts
    from state.database import open_database
    from state.locks import Locks

    recorded = None
    if project.database.exists():
        connection = open_database(project.database, readonly=True)
        try:
            lock = Locks(connection).current(certificate.stage)
            recorded = lock.certificate if lock else None
        finally:
            connection.close()
    return (
        *check_recorded(certificate, recorded),
        *verify_artifacts(project.root, certificate),
    )


def _plan_problems(
    project: Project, locks: Mapping[str, Certificate]
) -> dict[str, tuple[Problem, ...]]:
    """The statement over the whole plan, where it was written; and every need's lock."""
    from controller import statement
    from controller.lineage import in_order

    found = {}
    for plan, names in statement.plans(in_order(project.stages)).items():
        if statement.statement_path(project.root, plan).exists():
            ours = {name: locks[name] for name in names if name in locks}
            found[f"{plan} plan"] = statement.verify(project.root, plan, ours)
    return found


def _missing_certificates(
    project: Project, locks: Mapping[str, Certificate]
) -> dict[str, tuple[Problem, ...]]:
    """Stages that the database has as locked and whose certificate is not here."""
    from controller.safekeeping import Problem
    from state.database import open_database
    from state.locks import Locks

    if not project.database.exists():
        return {}
    connection = open_database(project.database, readonly=True)
    try:
        recorded = Locks(connection).all()
    finally:
        connection.close()
    return {
        one.stage: (Problem(f"locks/{one.stage}.json", "the certificate is gone"),)
        for one in recorded
        if one.stage not in locks
    }
