"""The end of a pod that no run owns: the order first, which is urgent, then what it cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from controller.orphans.backfill import interrupted, post
from controller.orphans.sweep import OrphanPod
from controller.providers.base import BillingRecord, Pod, Provider, ProviderError
from state.ledger import Ledger

HOUR = 3600.0
Tell = Callable[[str], None]


def end_all(
    provider: Provider,
    ledger: Ledger,
    strays: Iterable[OrphanPod],
    say: Tell,
    warn: Tell,
    wall: Callable[[], float] = time.time,
) -> None:
    """Every one is ordered to end, whatever becomes of another. Raises the first ProviderError."""
    failed: dict[str, ProviderError] = {}
    for one in strays:
        try:
            _end(provider, ledger, one, say, warn, wall)
        except ProviderError as error:
            failed[one.pod] = error
            warn(f"{one.pod} may bill on, ${one.usd_per_hour:.4f} an hour: {error.what}")
    if failed:
        raise _bills_on(failed)


def _end(
    provider: Provider,
    ledger: Ledger,
    stray: OrphanPod,
    say: Tell,
    warn: Tell,
    wall: Callable[[], float],
) -> None:
    """Booked also when the order failed: it may have been taken. If not, the next one goes on."""
    pod = _look(provider, stray.pod, warn)
    try:
        known = provider.terminate(stray.pod)
    finally:
        if pod is not None:
            _book(provider, ledger, pod, stray, warn, wall())
    told = "terminated" if known else "the provider knows no pod"
    say(f"{told} {stray.pod} ({stray.whose})")


def _look(provider: Provider, pod: str, warn: Tell) -> Pod | None:
    """The pod as it is before the order, which waits for nothing that is only for the books."""
    try:
        return provider.get(pod)
    except ProviderError as error:
        warn(_not_booked(pod, error))
        return None


def _book(
    provider: Provider, ledger: Ledger, pod: Pod, stray: OrphanPod, warn: Tell, now: float
) -> None:
    bill = _bill(provider, pod, now, warn) if interrupted(pod, now) else ()
    post(ledger, pod, stray, bill, now)


def _bill(provider: Provider, pod: Pod, now: float, warn: Tell) -> tuple[BillingRecord, ...]:
    """What the provider has billed for `pod`; it is told when that is not all of it yet."""
    try:
        records = provider.billing((pod.created_at or now) - HOUR, now + HOUR)
    except ProviderError as error:
        warn(_not_booked(pod.id, error))
        return ()
    found = tuple(one for one in records if one.pod_id == pod.id)
    if max((one.end for one in found), default=0.0) < now:
        text = f"{pod.id} is booked as far as it is on the bill, which may lag"
        warn(f"{text}: podctl cost --reconcile compares, in an hour or two")
    return found


def _not_booked(pod: str, error: ProviderError) -> str:
    return f"{error.what}: what {pod} cost is not booked: podctl cost --reconcile compares"


def _bills_on(failed: dict[str, ProviderError]) -> ProviderError:
    first = next(iter(failed.values()))
    names = " ".join(failed)
    return ProviderError(
        f"not ended, as far as is known: {names}",
        kind=first.kind,
        status=first.status,
        where=first.where,
        cause=f"{first.what}: {first.cause}".removesuffix(": "),
        hint=f"podctl gc {names} --terminate, until they are listed no more",
    )
