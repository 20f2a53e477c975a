"""Whether a user or the pod's guard stopped a pod, by the provider and the pod's log."""

from __future__ import annotations

from controller.engine.lease_context import LeaseContext
from controller.providers.base import ProviderError

GUARD_STOPS = "PODCTL-GUARD stopping this pod"  # as remote/guard.py prints it
GUARD_LINES = 50  # last lines of the log, in which a guard that stopped its pod says so
BY_USER = "by user"  # in the provider's `lastStatusChange`


def stopped_by_user(context: LeaseContext, pod_id: str) -> bool:
    """Whether a user stopped the pod during this process, rather than its guard.

    False when that is unclear. A pod that was stopped before this command is what the command
    resumes.
    """
    if pod_id in context.process.orders.sent_at or pod_id not in context.process.sightings.ran:
        return False
    try:
        log = context.provider.container_log(pod_id)
        by_guard = any(GUARD_STOPS in line for line in log[-GUARD_LINES:])
        return not by_guard and BY_USER in context.provider.last_change(pod_id).lower()
    except ProviderError:
        return False
