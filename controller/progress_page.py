"""Bring STATUS.md up to date with the journal, the locks and the ledger."""

from __future__ import annotations

import time

from controller import certificate, plan_page
from controller.cost import spending
from controller.plan_page import Page, rows
from controller.project import Project
from state.journal import Journal
from state.ledger import Ledger


def refresh(project: Project, journal: Journal, ledger: Ledger) -> None:
    """Rewrite STATUS.md; called after every change of state."""
    now = time.time()
    by_stage = ledger.by_stage(now)
    spent: dict[str, float] = {}
    for total in by_stage:
        spent[total.subject] = spent.get(total.subject, 0.0) + total.usd
    page = Page(
        project=project.config.project.name,
        rows=rows(
            project.stages.values(), certificate.read_all(project.root), journal.runs(), spent
        ),
        total=spending(by_stage),
        budget_usd=project.budgets().project_usd,
        at=now,
    )
    plan_page.write(project.status_page, page)
