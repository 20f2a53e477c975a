"""Rebuilds journal, ledger and locks from what exists apart from the database.

Sources: the provider's pods with our marks and its bill; what each run left in .podctl/runs; the
pod's own records, over SSH; the certificates in locks/. What is there stays: only what it lacks is
added, so that all of it may be done again.
"""

from __future__ import annotations

from controller.recovery.context import Recovered, Recovery


def recover(recovery: Recovery) -> Recovered:
    """Restore everything that is missing. The order matters: a run that passed is not resumed."""
    from controller.recovery import adopt_pods, lookup_pods, restore_runs

    lookup_pods.ask(recovery)
    restore_runs.finish_certified(recovery)
    adopt_pods.adopt_all(recovery)
    restore_runs.restore(recovery)
    restore_runs.book(recovery)
    restore_runs.lock(recovery)
    return recovery.recovered
