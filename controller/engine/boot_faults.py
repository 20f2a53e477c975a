"""Reads a booting pod's system log for the reason why its host cannot start it."""

from __future__ import annotations

from controller.engine.lease_context import LeaseContext
from controller.planner import boot_log
from controller.planner.boot_log import BootFault
from controller.providers.base import Pod, PodStatus, ProviderError


def read_boot_fault(context: LeaseContext, pod: Pod | None) -> BootFault | None:
    """Why the host cannot start `pod`; None if it can, or if SSH has answered once.

    Asks the provider for the log at most every `policy.poll_log` seconds, and keeps the fault and
    the digest of the pulled image in `context.process.boot_logs`.
    """
    over = pod is None or pod.status in (PodStatus.EXITED, PodStatus.TERMINATED)
    if pod is None or over or context.lease_state().reached:
        return None
    logs, now = context.process.boot_logs, context.clock.now()
    if now - logs.read_at >= context.policy.poll_log or not logs.read_at:
        logs.read_at = now
        _read_boot_log(context, pod.id)
    return logs.faults.get(pod.id)


def _read_boot_log(context: LeaseContext, pod_id: str) -> None:
    logs = context.process.boot_logs
    try:
        lines = context.provider.system_log(pod_id)
    except ProviderError:
        return  # the log only shortens a wait
    fault = boot_log.fault(lines)
    logs.faults = {pod_id: fault} if fault is not None else {}
    logs.image_digests[pod_id] = boot_log.image_digest(lines)
