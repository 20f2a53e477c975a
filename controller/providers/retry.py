"""A provider that tries again, where trying again can do no harm.

    list, get, offers, catalog, inventory,   THROTTLED, OUTAGE, TRANSIENT
    volumes, billing, container_log,
    last_change, account, register_key,
    stop, terminate
    start                                    THROTTLED, OUTAGE, TRANSIENT that never left here
    create                                   never: the caller settles what became of it
    system_log                               never: the next look asks again

A refusal, lacking capacity and a conflict are answers: they go to the caller at once.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import tenacity

from controller.providers.base import (
    Account,
    BillingRecord,
    Hardware,
    Inventory,
    Kind,
    NetworkVolume,
    Offer,
    Pod,
    PodSpec,
    Provider,
    ProviderError,
)

T = TypeVar("T")
FOR_NOW = (Kind.THROTTLED, Kind.OUTAGE)  # nothing was done
Judge = Callable[[BaseException], bool]


@dataclass(frozen=True)
class Patience:
    """How long and how often; seconds."""

    deadline: float = 90.0  # for all tries of one call together
    first: float = 0.5  # doubled at every try
    longest: float = 20.0  # one wait, whatever the provider asks for
    tries: int = 8


class Retrying:
    """Wraps a provider; the same protocol, the same errors."""

    def __init__(
        self,
        provider: Provider,
        patience: Patience | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.name = provider.name
        self.provider = provider  # what is wrapped
        self._patience = patience or Patience()
        self._sleep = sleep
        self._jitter = jitter

    def offers(self, need: Hardware) -> tuple[Offer, ...]:
        return self._again(_passing, lambda: self.provider.offers(need))

    def catalog(self) -> tuple[Offer, ...]:
        return self._again(_passing, self.provider.catalog)

    def inventory(self, need: Hardware) -> Inventory:
        return self._again(_passing, lambda: self.provider.inventory(need))

    def create(self, spec: PodSpec) -> Pod:
        """Once. THROTTLED comes with `retry_after` for the caller's own plan."""
        return self.provider.create(spec)

    def list(self) -> tuple[Pod, ...]:
        return self._again(_passing, self.provider.list)

    def get(self, pod_id: str) -> Pod | None:
        return self._again(_passing, lambda: self.provider.get(pod_id))

    def start(self, pod_id: str) -> None:
        """A start that arrived and was not answered may have worked: a second is a conflict."""
        self._again(_definite, lambda: self.provider.start(pod_id))

    def stop(self, pod_id: str) -> None:
        self._again(_passing, lambda: self.provider.stop(pod_id))

    def terminate(self, pod_id: str) -> bool:
        return self._again(_passing, lambda: self.provider.terminate(pod_id))

    def volumes(self) -> tuple[NetworkVolume, ...]:
        return self._again(_passing, self.provider.volumes)

    def billing(self, since: float, until: float) -> tuple[BillingRecord, ...]:
        return self._again(_passing, lambda: self.provider.billing(since, until))

    def container_log(self, pod_id: str, tail: int = 1000) -> tuple[str, ...]:
        return self._again(_passing, lambda: self.provider.container_log(pod_id, tail))

    def system_log(self, pod_id: str, tail: int = 200) -> tuple[str, ...]:
        return self.provider.system_log(pod_id, tail)

    def last_change(self, pod_id: str) -> str:
        return self._again(_passing, lambda: self.provider.last_change(pod_id))

    def account(self) -> Account:
        return self._again(_passing, self.provider.account)

    def register_key(self, public_key: str) -> None:
        self._again(_passing, lambda: self.provider.register_key(public_key))

    def _again(self, judge: Judge, call: Callable[[], T]) -> T:
        policy = tenacity.Retrying(
            retry=tenacity.retry_if_exception(judge),
            wait=self._wait,
            stop=self._stop,
            sleep=self._sleep,
            reraise=True,
        )
        return policy(call)

    def _wait(self, state: tenacity.RetryCallState) -> float:
        """What the provider asks for, else doubling with jitter; never over `longest`."""
        asked = _asked(state)
        if asked is not None:
            return min(asked, self._patience.longest)
        step = self._patience.first * 2.0 ** (state.attempt_number - 1)
        return min(step, self._patience.longest) * (0.5 + 0.5 * self._jitter())

    def _stop(self, state: tenacity.RetryCallState) -> bool:
        """No more tries, or the next wait would end after the deadline."""
        spent = max(state.seconds_since_start or 0.0, state.idle_for)
        over = spent + state.upcoming_sleep > self._patience.deadline
        return over or state.attempt_number >= self._patience.tries


def _asked(state: tenacity.RetryCallState) -> float | None:
    error = state.outcome.exception() if state.outcome else None
    return error.retry_after if isinstance(error, ProviderError) else None


def _passing(error: BaseException) -> bool:
    return isinstance(error, ProviderError) and error.kind in (*FOR_NOW, Kind.TRANSIENT)


def _definite(error: BaseException) -> bool:
    """Passing, and certainly without effect."""
    return (
        _passing(error)
        and isinstance(error, ProviderError)
        and (error.kind in FOR_NOW or not error.sent)
    )
