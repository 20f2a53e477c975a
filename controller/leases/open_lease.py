"""Opens a lease, or renews one on its parked pod: price, budget, confirmation, journal entry."""

from __future__ import annotations

import time
from collections.abc import Sequence

from controller.costs.expectation import DEFINED
from controller.costs.offer_choice import Funds
from controller.costs.pricing import Budget
from controller.diagnostics import drill_results as proof
from controller.engine.lease_context import pinned
from controller.errors import Refused
from controller.leases.options import RunOptions
from controller.leases.project_session import ProjectSession
from controller.leases.quote import Quote, balance_of, check_budget, quote
from controller.leases.renewal import Reusable, reusable
from controller.leases.reserved import reserved
from controller.leases.send_ahead import send_ahead
from controller.locks import certificate
from controller.planner.lease_state import Step
from controller.preflight import pins
from controller.preflight.stage_expectation import expectation_of
from controller.project import consent
from controller.providers.offers import priced
from jobs.stage import Stage
from state.journal_rows import Lease


def open_lease(session: ProjectSession, stages: Sequence[Stage], options: RunOptions) -> Lease:
    """Price the lease, check budget and balance, ask the user, and record it in the journal.

    Raises: BudgetRefused; NoCapacity; Refused when the user declines; ProviderError."""
    context = session.context
    budgets = context.project.budgets()
    budget = Budget(budgets.project_usd, options.budget_usd or budgets.run_usd)
    resting = _reusable(session, stages)
    funds = Funds(
        budget,
        session.ledger.spent(time.time()),
        balance_of(context.provider),
        reserved(
            session.journal,
            session.ledger,
            time.time(),
            besides=None if resting is None else resting.lease.id,
        ),
    )
    held = None
    if resting is not None:
        held = (resting.lease_state.offer, resting.lease_state.offer_count)
    expected = expectation_of(context.project, stages, context.shape)
    quoted = quote(
        context.provider, stages, context.shape, session.policy({}), funds, held, expected
    )
    check_budget(context.project, quoted)
    resting = _unless_dropped(session, resting, quoted)
    models, remarks = pins.pinned_models(
        context.project,
        stages,
        certificate.read_all(context.project.root),
        session.journal,
    )
    for line in (*remarks, *pins.unhashed(context.project, stages)):
        context.terminal.warn(line)
    _agree(session, stages, quoted, options, resting)
    if resting is None:  # one that waits bills meanwhile
        send_ahead(context, stages)
    pod = context.project.config.pod
    before = _spent(session, resting)  # the lease's own figures count from its first run
    terms = {
        "cap_usd": None if budget.run_usd is None else before + budget.run_usd,
        "worst_usd": quoted.worst.usd,
        "expected_usd": before + quoted.expected_usd,
        "most_usd": before + quoted.most_usd,
        "dearest": quoted.dearest.usd_per_hour,
        "expected": expected.document((*quoted.offers, *(one.offer for one in quoted.dropped))),
        "too_slow": list(quoted.too_slow),
        "max_stage_usd": quoted.most_stage_usd,
        "dropped": sorted({dropped.offer.id for dropped in quoted.dropped}),
        "on_success": options.disposal or pod.on_success,
        "on_failure": options.disposal or pod.on_failure,
        "keep_warm": 0.0 if options.disposal else 60.0 * pod.keep_warm_minutes,
        **wait_terms(options, time.time()),
        "settle": pod.settle_seconds,
        "boot": pod.boot_minutes * 60.0,
        "provider": context.provider.name,
        "fresh": options.fresh,
        "resume": options.resume,
    }
    more = {pins.MODELS: models, **context.project.changes.record}
    runs = [
        (stage.name, pinned(stage, context.shape) | more | hours)
        for stage, hours in zip(stages, _predicted(quoted), strict=True)
    ]
    if resting is None:
        name = session.journal.open_lease(terms, runs)
    else:
        name = resting.lease.id
        session.journal.extend_lease(name, Step.RENEW, terms, runs)
    opened = session.journal.lease(name)
    assert opened is not None
    return opened


def _predicted(quoted: Quote) -> list[dict[str, float]]:
    """For each stage, what its run's record says of its hours; empty where `hours` count."""
    return [
        {} if prediction.source == DEFINED else {"predicted_hours": prediction.hours}
        for prediction in quoted.expectation.on(quoted.best.id)
    ]


def wait_terms(options: RunOptions, now: float) -> dict[str, float]:
    """Until when the lease waits for capacity, in Unix seconds; empty if it does not."""
    seconds = options.wait_seconds
    return {} if seconds is None else {"wait_since": now, "wait_until": now + seconds}


def _reusable(session: ProjectSession, stages: Sequence[Stage]) -> Reusable | None:
    """The pod that another run left and that can be used; reports why another one cannot be."""
    context = session.context
    resting = reusable(
        session.journal,
        session.resting(),
        stages,
        context.shape,
        context.provider.name,
        now=time.time(),
        unlisted=session.unlisted,
    )
    if resting is None or not resting.why_not:
        return resting
    if resting.lease.id in session.unlisted:
        return None  # that was said already
    _say_not_used(session, resting, resting.why_not)
    return None


def _unless_dropped(
    session: ProjectSession, resting: Reusable | None, quoted: Quote
) -> Reusable | None:
    """The resting pod, unless its offer is one that this lease may not take."""
    if resting is None:
        return None
    offer = resting.lease_state.offer
    dropped = next((entry for entry in quoted.dropped if entry.offer.id == offer), None)
    if dropped is None:
        return resting
    _say_not_used(session, resting, f"{priced(dropped.offer)}: {dropped.reason}")
    return None


def _say_not_used(session: ProjectSession, resting: Reusable, why_not: str) -> None:
    run, pod = resting.lease_state.wanted[0].run, resting.lease_state.pod
    fetch = f"podctl sync {run} downloads its outputs, " if resting.lease_state.unpulled else ""
    bills = (
        f"parked pod {pod} is not restarted: {why_not}; its disk keeps billing"
        if resting.lease_state.parked
        else f"pod {pod} of {run} is not used: {why_not}; it keeps billing"
    )
    session.context.terminal.say(f"{bills}: {fetch}podctl stop {run} --terminate ends it")


def _spent(session: ProjectSession, resting: Reusable | None) -> float:
    if resting is None:
        return 0.0
    now = time.time()
    return sum(session.ledger.spent(now, run=run.run) for run in resting.lease_state.runs)


def _agree(
    session: ProjectSession,
    stages: Sequence[Stage],
    quoted: Quote,
    options: RunOptions,
    resting: Reusable | None,
) -> None:
    context, terminal = session.context, session.context.terminal
    for line in quoted.lines(stages):
        terminal.say(line)
    if resting is not None:
        terminal.say(f"  {resting.line()}")
    if names := consent.given(stages):
        terminal.say(f"  secrets that its jobs receive: {names}")
    proven = proof.nearest(
        session.journal, proof.account_name(context.project), context.shape.image
    )
    if proven is not None or context.provider.name != "emulator":
        proof.agree(proven, context.shape.image, terminal, unguarded=options.unguarded)
    if options.yes:
        return
    question = "Rent it?" if resting is None else "Use that pod?"
    if not terminal.confirm(question, "-y"):
        raise Refused("not rented", hint="podctl plan shows the price beforehand")
