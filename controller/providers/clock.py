"""The provider's time: what it bills by, and so what the ledger is kept by."""

from __future__ import annotations

import time
from collections.abc import Callable

from controller.clock import SystemClock
from controller.providers.base import Provider, ProviderError

NOISE = 2.0  # seconds that an answer's way and its Date, cut to the second, can explain
TELL = 30.0  # seconds from which on it is worth a word


class ProviderClock(SystemClock):
    """Its `wall` is the provider's, and goes by the steady clock from then on.

    A wall clock that is a year off, or is set while a job runs, changes neither ledger nor budget.
    """

    def __init__(self, skew: float) -> None:
        super().__init__()
        self._begin = time.time() + skew - self.now()

    def wall(self) -> float:
        return self._begin + self.now()


def provider_clock(provider: Provider, warn: Callable[[str], None]) -> ProviderClock:
    """A clock set by the provider's newest answer; by this machine's where it tells no time."""
    try:
        skew = provider.account().clock_skew_seconds or 0.0
    except ProviderError:
        skew = 0.0
    if abs(skew) > TELL:
        side = "behind" if skew > 0 else "ahead of"
        warn(f"this machine's clock is {abs(skew):.0f} s {side} the provider's, by which is booked")
    return ProviderClock(skew if abs(skew) > NOISE else 0.0)
