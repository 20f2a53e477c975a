"""Keeps a transfer under a rate, over all of its connections together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

BURST_SECONDS = 0.25


class Throttle:
    """`rate` in bytes per second; None for no limit. Threads share one."""

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
        self._paid_until = clock()  # the moment up to which the bytes so far use the rate up
        self._lock = threading.Lock()

    def took(self, count: int) -> None:
        """Account for `count` bytes; waits until they were allowed."""
        if self._rate is None:
            return
        with self._lock:
            now = self._clock()
            self._paid_until = max(self._paid_until, now - BURST_SECONDS) + count / self._rate
            wait = self._paid_until - now
        if wait > 0:
            self._sleep(wait)
