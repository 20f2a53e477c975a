"""Time as an argument: the loop's clock counts sleep, and its waits can be cut short."""

from __future__ import annotations

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """`now` for durations, `wall` for what people and bills read, `wait` for the loop."""

    def now(self) -> float:
        """Seconds that go on while the laptop sleeps; comparable within one boot only."""
        ...

    def wall(self) -> float:
        """Unix seconds."""
        ...

    def wait(self, seconds: float) -> None:
        """Return after `seconds`, or earlier when woken."""
        ...


class SystemClock:
    """The machine's clocks. `wake` ends a wait from another thread or a signal handler."""

    def __init__(self) -> None:
        self._woken = threading.Event()
        # A lid that is closed must count: CLOCK_MONOTONIC stops while a Linux machine sleeps.
        self._source = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

    def now(self) -> float:
        return time.clock_gettime(self._source)

    def wall(self) -> float:
        return time.time()

    def wait(self, seconds: float) -> None:
        self._woken.wait(max(0.0, seconds))
        self._woken.clear()

    def wake(self) -> None:
        self._woken.set()
