"""`podctl doctor --drill`: rent the cheapest pod once and prove that it stops itself."""

from __future__ import annotations

import time
from dataclasses import asdict

from controller.costs.offer_choice import Funds
from controller.costs.pricing import Budget, WorstCase, expected_usd, worst_case
from controller.diagnostics import drill
from controller.diagnostics import drill_results as proof
from controller.engine.lease_context import pinned
from controller.errors import NoCapacity, Refused
from controller.leases.drive import drive_lease
from controller.leases.options import RunOptions
from controller.leases.project_session import CommandContext, ProjectSession
from controller.leases.quote import Quote, balance_of, check_budget
from controller.leases.reserved import reserved
from controller.planner.pod_spec import Shape
from controller.planner.policy import DRILL, PRICE_TOLERANCE
from controller.project.project import Project
from controller.providers.base import Offer
from controller.providers.offers import priced
from remote.contract import GuardLimits
from state.journal_rows import Lease


def prove(project: Project, options: RunOptions) -> None:
    """Run one self-stop drill to its end, and record its result in the journal.

    An unfinished drill is resumed. A pod that did not stop itself is a result, not an error.

    Raises: as renting a pod does.
    """
    context = CommandContext.of(project, options.terminal)
    with context.owned("doctor --drill") as session:
        begun = [lease for lease in session.unfinished() if "drill" in lease.data]
        lease = begun[0] if begun else _open(session, options)
        drive_lease(session, lease, options, ending=True)
        run = session.journal.runs(lease=lease.id)[0]
        if run.outcome == "no-capacity":
            raise NoCapacity(
                "no pod is available for the drill",
                cause=str(run.result.get("why", "")),
                hint=f"{DRILL} again later",
            )


def _open(session: ProjectSession, options: RunOptions) -> Lease:
    """Price it, ask, and write the lease down."""
    context = session.context
    offer = drill.cheapest(context.provider.catalog())
    if offer is None:
        raise NoCapacity(
            "the catalog has no available pod for the drill", hint=f"{DRILL} again later"
        )
    near = context.provider.name == "emulator"
    limits = drill.NEAR_LIMITS if near else drill.LIMITS
    boot = context.project.config.pod.boot_minutes * 60.0
    worst = _worst(offer, limits, boot)
    _agree(session, options, offer, worst)
    shape = Shape(
        image=context.shape.image, api_base=context.shape.api_base, mount=context.shape.mount
    )
    lease = session.journal.open_lease(
        {
            "drill": {"account": proof.account_name(context.project), "limits": asdict(limits)},
            "worst_usd": worst.usd,
            "most_usd": worst.usd,  # one pod, once
            "dearest": offer.usd_per_hour,
            "on_success": "terminate",
            "on_failure": "terminate",
            "settle": context.project.config.pod.settle_seconds,
            "boot": boot,
            "provider": context.provider.name,
        },
        [(proof.STAGE, pinned(drill.stage(offer), shape))],
    )
    found = session.journal.lease(lease)
    assert found is not None
    return found


def _worst(offer: Offer, limits: GuardLimits, boot: float) -> WorstCase:
    """The slowest boot that is waited for, then the guard's hard cap and its retries."""
    return worst_case(
        boot_seconds=boot,
        hard_cap_seconds=limits.hard_cap,
        usd_per_hour=offer.usd_per_hour * PRICE_TOLERANCE,
        disk_gb=drill.DISK_GB,
    )


def _agree(session: ProjectSession, options: RunOptions, offer: Offer, worst: WorstCase) -> None:
    """Say what it costs, refuse what the budget does not bear, ask."""
    context, terminal = session.context, options.terminal
    likely = expected_usd(0.1, offer.usd_per_hour, drill.DISK_GB)
    budgets = context.project.budgets()
    now = time.time()
    funds = Funds(
        Budget(budgets.project_usd, budgets.run_usd),
        session.ledger.spent(now),
        balance_of(context.provider),
        reserved(session.journal, session.ledger, now),
    )
    refusal = funds.refusal(worst)
    why = f"{refusal} ({priced(offer)})" if refusal else ""
    check_budget(context.project, Quote((offer,), 0.1, likely, worst, worst.usd, refusal=why))
    terminal.say(
        f"a drill rents {priced(offer)} and waits for it to stop itself: "
        f"about ${likely:.2f}, worst case ${worst.usd:.2f}"
    )
    terminal.say(
        "  if this machine goes offline and the pod cannot stop itself, it bills until podctl sync"
    )
    if not options.yes and not terminal.confirm("Rent it?", "-y"):
        raise Refused("not rented", hint="podctl doctor checks what needs no pod")
