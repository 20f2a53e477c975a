"""Limits the rate of a transfer across all of its connections."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

BURST_SECONDS = 0.25


class Throttle:
    """A rate limit that all threads of a transfer share.

    `rate` is in bytes per second, None for no limit; `clock` returns seconds.
    """

    def __init__(
        self,
        rate: float | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate = rate
        self._clock = clock
        self._sleep = sleep
        self._paid_until = clock()  # the time at which the rate allows the next byte
        self._lock = threading.Lock()

    def took(self, count: int) -> None:
        """Count `count` transferred bytes and wait until the rate allows them."""
        if self._rate is None:
            return
        with self._lock:
            now = self._clock()
            self._paid_until = max(self._paid_until, now - BURST_SECONDS) + count / self._rate
            wait = self._paid_until - now
        if wait > 0:
            self._sleep(wait)
