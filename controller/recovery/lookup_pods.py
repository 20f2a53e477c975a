"""Pods that the listing leaves out: it may lag, so that each is asked for by its id too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from controller.orphans.backfill import Attribution
from controller.providers.base import Pod, PodStatus, ProviderError
from controller.recovery.context import Recovery
from controller.recovery.inventory import stage_of
from controller.ssh.host_keys import pinned_pods


def ask(work: Recovery) -> None:
    """What is there joins the remains, as if it had been listed; what is not is gone for certain.

    A pod for which the provider does not answer is neither: nothing is made of it this time.
    """
    found: list[Pod] = []
    gone: set[str] = set()
    for pod_id in sorted(_of_concern(work) - work.remains.living):
        try:
            pod = work.provider.get(pod_id)
        except ProviderError:
            continue
        if pod is None or pod.status is PodStatus.TERMINATED:
            gone.add(pod_id)
        else:
            found.append(pod)
    living = {pod.id for pod in found}
    listed = [pod for pod in work.remains.pods if pod.id not in living]
    work.remains = replace(work.remains, pods=(*listed, *found), gone=frozenset(gone))


def served(work: Recovery) -> Mapping[str, Attribution]:
    """Pods of which something here says that they were ours."""
    known = {pod: Attribution("import") for pod in pinned_pods(work.project.known_hosts)}
    for one in work.remains.locks.values():
        known |= dict.fromkeys(one.cost.pods, Attribution(one.stage, one.run))
    for run, order in work.remains.orders.items():
        known[order.pod] = Attribution(stage_of(run), run, order.lease or "import")
    return known


def _of_concern(work: Recovery) -> set[str]:
    """Pods by whose absence something is decided: a run's end, an interval's, a sum's."""
    awaited = {order.pod for run, order in work.remains.orders.items() if _undecided(work, run)}
    billing = {one.pod_id for one in work.ledger.intervals(open_only=True)}
    billed = {one.pod_id for one in work.remains.bill} & served(work).keys()
    unbooked = {pod for pod in billed if not work.ledger.intervals(pod_id=pod)}
    return awaited | billing | unbooked


def _undecided(work: Recovery, run: str) -> bool:
    """Whether neither a certificate nor the database says how the run ended."""
    row = work.journal.run(run)
    return run not in work.remains.certified and (row is None or row.open)
