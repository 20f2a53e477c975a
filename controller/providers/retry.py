"""Wraps a provider with retries, where repeating a call is safe.

    list, get, offers, catalog, inventory,   THROTTLED, OUTAGE, TRANSIENT
    volumes, billing, container_log,
    last_change, account, register_key,
    stop, terminate, delete_volume
    start                                    THROTTLED, OUTAGE, TRANSIENT that was not sent
    create, create_volume                    never: the caller finds out the result
    system_log                               never: the next observation reads it

REFUSED, CAPACITY and CONFLICT are final: they are raised at once.
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
NOT_DONE = (Kind.THROTTLED, Kind.OUTAGE)  # certainly without effect
Judge = Callable[[BaseException], bool]


@dataclass(frozen=True)
class Patience:
    """Limits of the retries of one call; times in seconds."""

    deadline: float = 90.0  # of all attempts together
    first: float = 0.5  # wait, doubled at every attempt
    longest: float = 20.0  # maximum of one wait, whatever the provider requests
    tries: int = 8


class Retrying:
    """A `Provider` that retries calls of another one; same protocol, same errors."""

    def __init__(
        self,
        provider: Provider,
        patience: Patience | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.name = provider.name
        self.provider = provider  # the wrapped provider
        self._patience = patience or Patience()
        self._sleep = sleep
        self._jitter = jitter

    def offers(self, need: Hardware) -> tuple[Offer, ...]:
        return self._retry(_is_temporary, lambda: self.provider.offers(need))

    def catalog(self) -> tuple[Offer, ...]:
        return self._retry(_is_temporary, self.provider.catalog)

    def inventory(self, need: Hardware) -> Inventory:
        return self._retry(_is_temporary, lambda: self.provider.inventory(need))

    def create(self, spec: PodSpec) -> Pod:
        """Never retried. A THROTTLED error has `retry_after` for the caller."""
        return self.provider.create(spec)

    def list(self) -> tuple[Pod, ...]:
        return self._retry(_is_temporary, self.provider.list)

    def get(self, pod_id: str) -> Pod | None:
        return self._retry(_is_temporary, lambda: self.provider.get(pod_id))

    def start(self, pod_id: str) -> None:
        """A start without a response may have worked, and a second one would be a conflict."""
        self._retry(_had_no_effect, lambda: self.provider.start(pod_id))

    def stop(self, pod_id: str) -> None:
        self._retry(_is_temporary, lambda: self.provider.stop(pod_id))

    def terminate(self, pod_id: str) -> bool:
        return self._retry(_is_temporary, lambda: self.provider.terminate(pod_id))

    def volumes(self) -> tuple[NetworkVolume, ...]:
        return self._retry(_is_temporary, self.provider.volumes)

    def create_volume(self, name: str, size_gb: int, data_center: str) -> NetworkVolume:
        return self.provider.create_volume(name, size_gb, data_center)

    def delete_volume(self, volume_id: str) -> bool:
        return self._retry(_is_temporary, lambda: self.provider.delete_volume(volume_id))

    def billing(self, since: float, until: float) -> tuple[BillingRecord, ...]:
        return self._retry(_is_temporary, lambda: self.provider.billing(since, until))

    def container_log(self, pod_id: str, tail: int = 1000) -> tuple[str, ...]:
        return self._retry(_is_temporary, lambda: self.provider.container_log(pod_id, tail))

    def system_log(self, pod_id: str, tail: int = 200) -> tuple[str, ...]:
        return self.provider.system_log(pod_id, tail)

    def last_change(self, pod_id: str) -> str:
        return self._retry(_is_temporary, lambda: self.provider.last_change(pod_id))

    def account(self) -> Account:
        return self._retry(_is_temporary, self.provider.account)

    def register_key(self, public_key: str) -> None:
        self._retry(_is_temporary, lambda: self.provider.register_key(public_key))

    def _retry(self, judge: Judge, call: Callable[[], T]) -> T:
        policy = tenacity.Retrying(
            retry=tenacity.retry_if_exception(judge),
            wait=self._wait,
            stop=self._stop,
            sleep=self._sleep,
            reraise=True,
        )
        return policy(call)

    def _wait(self, state: tenacity.RetryCallState) -> float:
        """The wait that the provider requests, else doubling with jitter; at most `longest`."""
        requested = _requested_wait(state)
        if requested is not None:
            return min(requested, self._patience.longest)
        step = self._patience.first * 2.0 ** (state.attempt_number - 1)
        return min(step, self._patience.longest) * (0.5 + 0.5 * self._jitter())

    def _stop(self, state: tenacity.RetryCallState) -> bool:
        """Whether no attempt is left, or the next wait would end after the deadline."""
        spent = max(state.seconds_since_start or 0.0, state.idle_for)
        timed_out = spent + state.upcoming_sleep > self._patience.deadline
        return timed_out or state.attempt_number >= self._patience.tries


def _requested_wait(state: tenacity.RetryCallState) -> float | None:
    error = state.outcome.exception() if state.outcome else None
    return error.retry_after if isinstance(error, ProviderError) else None


def _is_temporary(error: BaseException) -> bool:
    return isinstance(error, ProviderError) and error.kind in (*NOT_DONE, Kind.TRANSIENT)


def _had_no_effect(error: BaseException) -> bool:
    """Whether the error is temporary and the call certainly had no effect."""
    return (
        _is_temporary(error)
        and isinstance(error, ProviderError)
        and (error.kind in NOT_DONE or not error.sent)
    )
