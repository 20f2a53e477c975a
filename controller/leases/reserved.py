"""What the open leases of a project may still cost, so that a further lease does not use it."""

from __future__ import annotations

from controller.costs.pricing import Reserved
from controller.engine.lease_context import terms
from controller.planner.journal_fold import lease_state_of
from state.journal import Journal
from state.journal_rows import Lease
from state.ledger import Ledger


def reserved(journal: Journal, ledger: Ledger, now: float, besides: str | None = None) -> Reserved:
    """The sums over all open leases but `besides`; `now` is in Unix seconds."""
    others = [lease for lease in journal.open_leases() if lease.id != besides]
    rests = [_rest(journal, ledger, now, lease) for lease in others]
    return Reserved(sum(rest.lease_usd for rest in rests), sum(rest.pod_usd for rest in rests))


def _rest(journal: Journal, ledger: Ledger, now: float, lease: Lease) -> Reserved:
    """Nothing for a lease that has no pod to bill and wants none, or whose pod is parked."""
    lease_state = lease_state_of(journal, lease.id)
    billing = lease_state.pod is not None and not lease_state.parked
    if not billing and (lease_state.current is None or lease_state.parked):
        return Reserved()
    agreed = terms(journal, lease)
    spent = sum(ledger.spent(now, run=run.run) for run in lease_state.runs)
    left = max(0.0, float(agreed.get("most_usd") or 0.0) - spent)
    return Reserved(left, min(left, float(agreed.get("worst_usd") or 0.0)))
