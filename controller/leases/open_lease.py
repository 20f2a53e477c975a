"""Opens a lease, or renews one on its parked pod: price, budget, confirmation, journal entry."""

from __future__ import annotations

import time
from collections.abc import Sequence

from controller.costs.pricing import Budget
from controller.diagnostics import drill_results as proof
from controller.engine.lease_context import pinned
from controller.errors import Refused
from controller.leases.options import RunOptions
from controller.leases.project_session import ProjectSession
from controller.leases.quote import Quote, check_budget, quote
from controller.leases.renewal import Parked, parked
from controller.locks import certificate
from controller.planner.lease_state import Step
from controller.preflight import pins
from controller.project import consent
from jobs.stage import Stage
from state.journal import Lease


def open_lease(session: ProjectSession, stages: Sequence[Stage], options: RunOptions) -> Lease:
    """Price the lease, check budget and balance, ask the user, and record it in the journal.

    Raises: BudgetRefused; NoCapacity; Refused when the user declines; ProviderError."""
    context = session.context
    budgets = context.project.budgets()
    budget = Budget(budgets.project_usd, options.budget_usd or budgets.run_usd)
    spent = session.ledger.spent(time.time())
    parked_pod = _parked(session, stages)
    held = (
        (parked_pod.lease_state.offer, parked_pod.lease_state.offer_count)
        if parked_pod is not None
        else None
    )
    quoted = quote(context.provider, stages, context.shape, session.policy({}), budget, spent, held)
    check_budget(context.project, context.provider, quoted, budget, spent)
    models, remarks = pins.pinned_models(
        context.project,
        stages,
        certificate.read_all(context.project.root),
        session.journal,
    )
    for line in (*remarks, *pins.unhashed(context.project, stages)):
        context.terminal.warn(line)
    _agree(session, stages, quoted, options, parked_pod)
    pod = context.project.config.pod
    before = _spent(session, parked_pod)  # the lease's own figures count from its first run
    terms = {
        "cap_usd": None if budget.run_usd is None else before + budget.run_usd,
        "worst_usd": quoted.worst.usd,
        "expected_usd": before + quoted.expected_usd,
        "most_usd": before + quoted.most_usd,
        "dearest": quoted.dearest,
        "on_success": options.disposal or pod.on_success,
        "on_failure": pod.on_failure,
        "settle": pod.settle_seconds,
        "boot": pod.boot_minutes * 60.0,
        "provider": context.provider.name,
        "fresh": options.fresh,
        "resume": options.resume,
    }
    runs = [(stage.name, pinned(stage, context.shape) | {pins.MODELS: models}) for stage in stages]
    if parked_pod is None:
        name = session.journal.open_lease(terms, runs)
    else:
        name = parked_pod.lease.id
        session.journal.extend_lease(name, Step.RENEW, terms, runs)
    opened = session.journal.lease(name)
    assert opened is not None
    return opened


def _parked(session: ProjectSession, stages: Sequence[Stage]) -> Parked | None:
    """The parked pod that can be restarted; reports why another one cannot be."""
    context = session.context
    resting = session.resting()
    parked_pod = parked(session.journal, resting, stages, context.shape, context.provider.name)
    if parked_pod is None or not parked_pod.why_not:
        return parked_pod
    run, pod = parked_pod.lease_state.wanted[0].run, parked_pod.lease_state.pod
    fetch = f"podctl sync {run} downloads its outputs, " if parked_pod.lease_state.unpulled else ""
    context.terminal.say(
        f"parked pod {pod} is not restarted: {parked_pod.why_not}; its disk keeps billing: {fetch}"
        f"podctl stop {run} --terminate ends it"
    )
    return None


def _spent(session: ProjectSession, parked_pod: Parked | None) -> float:
    if parked_pod is None:
        return 0.0
    now = time.time()
    return sum(session.ledger.spent(now, run=run.run) for run in parked_pod.lease_state.runs)


def _agree(
    session: ProjectSession,
    stages: Sequence[Stage],
    quoted: Quote,
    options: RunOptions,
    parked_pod: Parked | None,
) -> None:
    context, terminal = session.context, session.context.terminal
    for line in quoted.lines(stages):
        terminal.say(line)
    if parked_pod is not None:
        terminal.say(
            f"  parked pod {parked_pod.lease_state.pod} of {parked_pod.lease_state.wanted[0].run} "
            "is restarted for it; if its host has no capacity, it is terminated, since all its "
            "files are downloaded, and another pod is rented"
        )
    if names := consent.given(stages):
        terminal.say(f"  secrets that its jobs receive: {names}")
    proven = proof.nearest(
        session.journal, proof.account_name(context.project), context.shape.image
    )
    if proven is not None or context.provider.name != "emulator":
        proof.agree(proven, context.shape.image, terminal, unguarded=options.unguarded)
    if options.yes:
        return
    if not terminal.confirm("Rent it?", "-y"):
        raise Refused("not rented", hint="podctl plan shows the price beforehand")
