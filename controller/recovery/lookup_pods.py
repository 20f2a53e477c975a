"""Looks up, by id, pods that the provider's listing may lag behind on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from controller.orphans.backfill import Attribution
from controller.providers.base import Pod, PodStatus, ProviderError
from controller.recovery.context import Recovery
from controller.recovery.inventory import stage_of
from controller.ssh.host_keys import pinned_pods


def ask(recovery: Recovery) -> None:
    """Add pods that exist to the inventory, as if they had been listed; the others are gone.

    A pod about which the provider does not respond is neither, and is left for a later import.
    """
    pods: list[Pod] = []
    absent: set[str] = set()
    for pod_id in sorted(_of_concern(recovery) - recovery.inventory.living):
        try:
            pod = recovery.provider.get(pod_id)
        except ProviderError:
            continue
        if pod is None or pod.status is PodStatus.TERMINATED:
            absent.add(pod_id)
        else:
            pods.append(pod)
    living = {pod.id for pod in pods}
    listed = [pod for pod in recovery.inventory.pods if pod.id not in living]
    recovery.inventory = replace(
        recovery.inventory, pods=(*listed, *pods), absent=frozenset(absent)
    )


def served(recovery: Recovery) -> Mapping[str, Attribution]:
    """Pods that local records attribute to this project."""
    known = {pod: Attribution("import") for pod in pinned_pods(recovery.project.known_hosts)}
    for lock in recovery.inventory.locks.values():
        known |= dict.fromkeys(lock.cost.pods, Attribution(lock.stage, lock.run))
    for run, order in recovery.inventory.orders.items():
        known[order.pod] = Attribution(stage_of(run), run, order.lease or "import")
    return known


def _of_concern(recovery: Recovery) -> set[str]:
    """Pods whose absence decides the end of a run or an interval."""
    awaited = {
        order.pod for run, order in recovery.inventory.orders.items() if _undecided(recovery, run)
    }
    billing = {interval.pod_id for interval in recovery.ledger.intervals(open_only=True)}
    billed = {record.pod_id for record in recovery.inventory.bill} & served(recovery).keys()
    unbooked = {pod for pod in billed if not recovery.ledger.intervals(pod_id=pod)}
    return awaited | billing | unbooked


def _undecided(recovery: Recovery, run: str) -> bool:
    """Whether neither a certificate nor the database says how the run ended."""
    row = recovery.journal.run(run)
    return run not in recovery.inventory.certified and (row is None or row.open)
