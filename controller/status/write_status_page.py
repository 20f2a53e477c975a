"""Rewrites STATUS.md from the journal, the locks and the ledger."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from controller.costs.plan_spending import USD_PER_HOUR, planned_hours
from controller.costs.pricing import spending
from controller.incident import Incident, attempt
from controller.locks import certificate
from controller.locks.staleness import stale
from controller.locks.statement import attest_missing
from controller.project.plan import has_plan
from controller.project.project import Project
from controller.status import status_page as plan_page
from controller.status.status_page import Page, rows
from jobs.catalog import built_in
from state.journal import Journal
from state.ledger import Ledger
from state.project_lock import ProjectLock


def refresh_if_possible(project: Project, owner: ProjectLock, warn: Callable[[str], None]) -> None:
    """Rewrite STATUS.md for a command that holds the project lock without a session."""
    refresh(project, Journal(owner.connection, owner.epoch), Ledger(owner.connection), warn)


def refresh(
    project: Project,
    journal: Journal,
    ledger: Ledger,
    warn: Callable[[str], None] = lambda _: None,
) -> None:
    """Rewrite STATUS.md, and certify a plan that is whole by now; after every change of state.

    A page that cannot be written is a warning, never an error.
    """
    if project.problem is not None:
        return  # the page is of the plan, which cannot be read
    written = attempt(partial(_rewrite, project, journal, ledger), let_pass=())
    if isinstance(written, Incident):
        warn(f"STATUS.md is not up to date: {written.text}")


def _rewrite(changed: Project, journal: Journal, ledger: Ledger) -> None:
    project = Project(changed.root)  # as podctl.toml says, whatever this command line changes
    attest_missing(project)
    now = time.time()
    by_stage = ledger.by_stage(now)
    spent: dict[str, float] = {}
    for total in by_stage:
        spent[total.subject] = spent.get(total.subject, 0.0) + total.usd
    shipped = built_in() if has_plan(project) else {}
    plan = {name: planned_hours(one) for name, one in project.stages.items() if name in shipped}
    differing = {
        name: [one.text for one in found] for name, found in stale(project).items() if found
    }
    page = Page(
        project=project.config.project.name,
        rows=rows(
            project.stages.values(),
            certificate.read_all(project.root),
            journal.newest_runs(),
            spent,
            dict.fromkeys(plan, USD_PER_HOUR),
            planned=plan,
            stale=differing,
            attempts=journal.run_counts(),
        ),
        total=spending(by_stage),
        budget_usd=project.budgets().project_usd,
        at=now,
    )
    plan_page.write(project.status_page, page)
