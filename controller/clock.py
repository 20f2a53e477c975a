"""The clock as a parameter, so that tests and the simulation can replace it."""

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
        """Return after `seconds`."""
        ...


class SystemClock:
    """The clocks of this machine."""

    def __init__(self) -> None:
        self._never = threading.Event()
        # A lid that is closed must count: CLOCK_MONOTONIC stops while a Linux machine sleeps.
        self._source = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

    def now(self) -> float:
        return time.clock_gettime(self._source)

    def wall(self) -> float:
        return time.time()

    def wait(self, seconds: float) -> None:
        # Not time.sleep: its deadline fails where the calendar's clock is replaced or jumps.
        self._never.wait(max(0.0, seconds))
