"""The provider's time, which its bill and therefore the ledger use."""

from __future__ import annotations

import time
from collections.abc import Callable

from controller.clock import SystemClock
from controller.providers.base import Provider, ProviderError

NOISE = 2.0  # seconds of skew that latency and the truncated `Date` header can explain
WARN_SECONDS = 30.0  # of skew


class ProviderClock(SystemClock):
    """A clock whose `wall` is the provider's time, advanced by the monotonic clock.

    A local clock that is wrong, or is set while a job runs, changes neither ledger nor budget.
    """

    def __init__(self, skew: float) -> None:
        super().__init__()
        self._begin = time.time() + skew - self.now()

    def wall(self) -> float:
        return self._begin + self.now()


def provider_clock(provider: Provider, warn: Callable[[str], None]) -> ProviderClock:
    """A clock set by the provider's time, or by the local clock if it reports none."""
    try:
        skew = provider.account().clock_skew_seconds or 0.0
    except ProviderError:
        skew = 0.0
    if abs(skew) > WARN_SECONDS:
        side = "behind" if skew > 0 else "ahead of"
        warn(f"this machine's clock is {abs(skew):.0f} s {side} the provider's, by which is booked")
    return ProviderClock(skew if abs(skew) > NOISE else 0.0)
