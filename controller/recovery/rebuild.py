"""The journal, the ledger and the locks again, from what exists without the database.

Sources: the provider's pods with our marks and its bill; what each run left in .podctl/runs; the
pod's own records, over SSH; the certificates in locks/. What is there stays: only what it lacks is
added, so that all of it may be done again.
"""

from __future__ import annotations

from controller.recovery.context import Recovered, Recovery


def recover(work: Recovery) -> Recovered:
    """Add everything; the order matters: what passed is not carried on."""
    from controller.recovery import adopt_pods as found_pods
    from controller.recovery import lookup_pods as unlisted
    from controller.recovery import restore_runs as past_runs

    unlisted.ask(work)
    past_runs.finish_certified(work)
    found_pods.carry_on(work)
    past_runs.restore(work)
    past_runs.book(work)
    past_runs.lock(work)
    return work.found
