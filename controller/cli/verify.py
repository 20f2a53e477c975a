"""`podctl verify`: compares local artifacts with their certificates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from controller.cli.names import stage_names
from controller.cli.options import current_project, json_option
from controller.errors import NotFound, UsageError, VerificationFailed
from controller.project.project import Project
from controller.terminal import formatting as words
from controller.terminal.terminal import Terminal

if TYPE_CHECKING:
    from controller.locks.artifacts import Problem
    from controller.locks.certificate import Certificate


@click.command("verify")
@click.argument("stages", nargs=-1, shell_complete=stage_names)
@click.option(
    "--all",
    "all_",
    is_flag=True,
    help="Verify every locked stage, their dependencies and plan statements.",
)
@json_option
@click.pass_obj
def command(terminal: Terminal, stages: tuple[str, ...], all_: bool) -> int:
    """Compare the hashes of the artifacts of STAGES (or --all) with their certificates.

    With --all, podctl also verifies the dependencies between locks and each plan's statement. A
    stale lock is not a failure; its differences are shown (podctl why).
    """
    project = current_project()
    chosen = _chosen(project, stages, all_)
    results = {name: _problems(project, certificate) for name, certificate in chosen.items()}
    if all_ or not stages:
        results |= _missing_certificates(project, chosen)
        results |= _plan_problems(project, chosen)
    if not results and not terminal.json:
        terminal.say("no stage is locked")
    outdated = _outdated(project, chosen)
    bad = {name: problems for name, problems in results.items() if problems}
    if terminal.json:
        rows = [
            {
                "stage": name,
                "verdict": "FAIL" if name in bad else "PASS",
                "problems": problems,
                "stale": outdated.get(name, ()),
            }
            for name, problems in results.items()
        ]
        terminal.emit_json("podctl/verify/1", {"stages": rows})
        return VerificationFailed.exit_code if bad else 0
    for name, problems in results.items():
        verdict = "FAIL" if name in bad else "PASS"
        what = words.count(len(chosen[name].artifacts), "file") if name in chosen else ""
        terminal.data(f"{verdict}  {name}  {what}".rstrip())
        for problem in problems:
            terminal.data(f"      {problem.path}: {problem.what}")
        for text in outdated.get(name, ()):
            terminal.data(f"      stale: {text}")
    if bad:
        raise VerificationFailed(
            f"{', '.join(bad)}: local files do not match the certificate",
            where=str(project.root),
            cause="files were changed, added or deleted, or a stage it depends on was locked again",
            hint="restore the files from a backup, or podctl unlock STAGE --reason … and re-run",
        )
    return 0


def _chosen(project: Project, stages: tuple[str, ...], all_: bool) -> Mapping[str, Certificate]:
    from controller.locks.certificate import read, read_all

    if all_ or not stages:
        if stages:
            raise UsageError("--all and stage names cannot be combined")
        return read_all(project.root)
    chosen = {}
    for name in stages:
        certificate = read(project.root, name)
        if certificate is None:
            raise NotFound(f"{name} is not locked", hint=f"podctl run {name}")
        chosen[name] = certificate
    return chosen


def _problems(project: Project, certificate: Certificate) -> tuple[Problem, ...]:
    """Differences of files from the certificate, and of the certificate from the database."""
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
    """Problems of each plan's statement, and of the dependencies between locks."""
    from controller.locks import statement
    from controller.locks.staleness import in_order

    needs = {name: stage.needs for name, stage in in_order(project.stages).items()}
    plans = statement.plans(needs)
    problems_of = {
        f"{plan} plan": statement.verify(project.root, plan, locks, needs)
        for plan, names in plans.items()
        if statement.statement_path(project.root, plan).exists() or locks.keys() & {*names}
    }
    of_plans = {name for names in plans.values() for name in names}
    for name, problems in statement.broken_links(needs, locks).items():
        if problems and name not in of_plans:
            problems_of[f"{name}'s needs"] = problems
    return problems_of


def _outdated(project: Project, chosen: Mapping[str, Certificate]) -> dict[str, list[str]]:
    """For each stage, what a new run would receive differently. The lock is stale, not wrong."""
    from controller.locks.staleness import stale

    every = stale(project)
    return {name: [difference.text for difference in every.get(name, ())] for name in chosen}


def _missing_certificates(
    project: Project, locks: Mapping[str, Certificate]
) -> dict[str, tuple[Problem, ...]]:
    """Stages that are locked in the database but have no certificate."""
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
        lock.stage: (Problem(f"locks/{lock.stage}.json", "the certificate is missing"),)
        for lock in recorded
        if lock.stage not in locks
    }
