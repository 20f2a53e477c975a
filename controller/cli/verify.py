"""`podctl verify`: are the artifacts here still those that were certified?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from controller.cli.options import json_option, project_here
from controller.errors import NotFound, UsageError, VerificationFailed
from controller.project.project import Project
from controller.terminal.terminal import Terminal

if TYPE_CHECKING:
    from controller.locks.artifacts import Problem
    from controller.locks.certificate import Certificate


@click.command("verify")
@click.argument("stages", nargs=-1)
@click.option("--all", "all_", is_flag=True, help="Every locked stage.")
@json_option
@click.pass_obj
def command(terminal: Terminal, stages: tuple[str, ...], all_: bool) -> int:
    """Re-hash the artifacts of STAGES (or --all) and compare with their certificates.

    With --all also: how the locks stand on one another, and the statement over each plan. A lock
    that is only stale is no failure: what differs is told (podctl why).
    """
    project = project_here()
    chosen = _chosen(project, stages, all_)
    found = {name: _problems(project, one) for name, one in chosen.items()}
    if all_ or not stages:
        found |= _missing_certificates(project, chosen)
        found |= _plan_problems(project, chosen)
    if not found and not terminal.json:
        terminal.say("no stage is locked")
    outdated = _outdated(project, chosen)
    bad = {name: problems for name, problems in found.items() if problems}
    if terminal.json:
        rows = [
            {
                "stage": name,
                "verdict": "FAIL" if name in bad else "PASS",
                "problems": problems,
                "stale": outdated.get(name, ()),
            }
            for name, problems in found.items()
        ]
        terminal.emit_json("podctl/verify/1", {"stages": rows})
        return VerificationFailed.exit_code if bad else 0
    for name, problems in found.items():
        verdict = "FAIL" if name in bad else "PASS"
        what = f"{len(chosen[name].artifacts)} files" if name in chosen else "as one piece"
        terminal.data(f"{verdict}  {name}  {what}")
        for problem in problems:
            terminal.data(f"      {problem.path}: {problem.what}")
        for text in outdated.get(name, ()):
            terminal.data(f"      stale: {text}")
    if bad:
        raise VerificationFailed(
            f"{', '.join(bad)}: what is here is not what was certified",
            where=str(project.root),
            cause="files were altered, added or lost since, or what it stands on is another one",
            hint="restore them from a copy, or podctl unlock <stage> --reason … and run it again",
        )
    return 0


def _chosen(project: Project, stages: tuple[str, ...], all_: bool) -> Mapping[str, Certificate]:
    from controller.locks.certificate import read, read_all

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
    from controller.locks.artifacts import check_recorded, verify_artifacts
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
    """Each plan's statement, and whether the locks stand on one another."""
    from controller.locks import statement
    from controller.locks.staleness import in_order

    needs = {name: stage.needs for name, stage in in_order(project.stages).items()}
    plans = statement.plans(needs)
    found = {
        f"{plan} plan": statement.verify(project.root, plan, locks, needs)
        for plan, names in plans.items()
        if statement.statement_path(project.root, plan).exists() or locks.keys() & {*names}
    }
    of_plans = {name for names in plans.values() for name in names}
    for name, problems in statement.loose(needs, locks).items():
        if problems and name not in of_plans:
            found[f"{name}'s needs"] = problems
    return found


def _outdated(project: Project, chosen: Mapping[str, Certificate]) -> dict[str, list[str]]:
    """In words, what a run now would be given otherwise: the lock stays true, and is old."""
    from controller.locks.staleness import stale

    every = stale(project)
    return {name: [one.text for one in every.get(name, ())] for name in chosen}


def _missing_certificates(
    project: Project, locks: Mapping[str, Certificate]
) -> dict[str, tuple[Problem, ...]]:
    """Stages that the database has as locked and whose certificate is not here."""
    from controller.locks.artifacts import Problem
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
