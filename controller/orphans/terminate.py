"""Terminates orphaned pods: the terminate call first, then the record of the cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from controller.orphans.backfill import interrupted, post
from controller.orphans.sweep import OrphanPod
from controller.providers.base import BillingRecord, Pod, Provider, ProviderError
from state.ledger import Ledger

HOUR = 3600.0
Report = Callable[[str], None]


def end_all(
    provider: Provider,
    ledger: Ledger,
    orphan_pods: Iterable[OrphanPod],
    say: Report,
    warn: Report,
    wall: Callable[[], float] = time.time,
) -> None:
    """Terminate every pod, even if one call fails. Raises an error for all failed calls."""
    failed: dict[str, ProviderError] = {}
    for orphan in orphan_pods:
        try:
            _end(provider, ledger, orphan, say, warn, wall)
        except ProviderError as error:
            failed[orphan.pod] = error
            warn(f"{orphan.pod} may keep billing ${orphan.usd_per_hour:.4f} an hour: {error.what}")
    if failed:
        raise _unconfirmed(failed)


def _end(
    provider: Provider,
    ledger: Ledger,
    orphan: OrphanPod,
    say: Report,
    warn: Report,
    wall: Callable[[], float],
) -> None:
    """Terminate one pod. Its cost is recorded even after an error: the call may have worked."""
    pod = _read_pod(provider, orphan.pod, warn)
    try:
        existed = provider.terminate(orphan.pod)
    finally:
        if pod is not None:
            _record_cost(provider, ledger, pod, orphan, warn, wall())
    outcome = "terminated" if existed else "the provider knows no pod"
    say(f"{outcome} {orphan.pod} ({orphan.whose})")


def _read_pod(provider: Provider, pod: str, warn: Report) -> Pod | None:
    """The pod before it is terminated; None, with a warning, when it cannot be read."""
    try:
        return provider.get(pod)
    except ProviderError as error:
        warn(_not_recorded(pod, error))
        return None


def _record_cost(
    provider: Provider, ledger: Ledger, pod: Pod, orphan: OrphanPod, warn: Report, now: float
) -> None:
    bill = _bill(provider, pod, now, warn) if interrupted(pod, now) else ()
    post(ledger, pod, orphan, bill, now)


def _bill(provider: Provider, pod: Pod, now: float, warn: Report) -> tuple[BillingRecord, ...]:
    """The billing records of `pod`, with a warning if the bill is not complete yet."""
    try:
        records = provider.billing((pod.created_at or now) - HOUR, now + HOUR)
    except ProviderError as error:
        warn(_not_recorded(pod.id, error))
        return ()
    charges = tuple(record for record in records if record.pod_id == pod.id)
    if max((charge.end for charge in charges), default=0.0) < now:
        text = f"{pod.id} is recorded as far as the provider has billed it, which may lag"
        warn(f"{text}: podctl cost --reconcile compares, in an hour or two")
    return charges


def _not_recorded(pod: str, error: ProviderError) -> str:
    return f"{error.what}: the cost of {pod} is not recorded: podctl cost --reconcile compares"


def _unconfirmed(failed: dict[str, ProviderError]) -> ProviderError:
    first = next(iter(failed.values()))
    names = " ".join(failed)
    return ProviderError(
        f"could not confirm the termination of {names}",
        kind=first.kind,
        status=first.status,
        where=first.where,
        cause=f"{first.what}: {first.cause}".removesuffix(": "),
        hint=f"podctl gc {names} --terminate, until they are no longer listed",
    )
