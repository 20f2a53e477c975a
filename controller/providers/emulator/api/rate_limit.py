"""Request quotas per key, and the headers that report them."""

from __future__ import annotations

import threading
from collections import defaultdict

from controller.providers.emulator.errors import Problem
from controller.providers.emulator.settings import Quota

_SECONDS = {"minute": 60, "hour": 3600, "day": 86400}


class RateLimit:
    """Fixed windows that begin on the clock's minute, hour and day."""

    def __init__(self, quota: Quota) -> None:
        self._limits = {"minute": quota.minute, "hour": quota.hour, "day": quota.day}
        self._lock = threading.Lock()
        self._used: dict[tuple[str, str], tuple[int, int]] = defaultdict(lambda: (-1, 0))

    def count(self, key: str, now: float) -> None:
        """Count one request; 429 with Retry-After when a window is full."""
        with self._lock:
            for window, limit in self._limits.items():
                if self._spent(key, window, now) >= limit:
                    wait = _seconds_left(window, now)
                    raise Problem(
                        429,
                        f"rate limit exceeded for the {window} window",
                        headers={"Retry-After": str(wait)},
                    )
            for window in self._limits:
                number = int(now // _SECONDS[window])
                self._used[key, window] = (number, self._spent(key, window, now) + 1)

    def headers(self, key: str, now: float) -> dict[str, str]:
        with self._lock:
            state = ", ".join(
                f'"{window}";r={max(0, limit - self._spent(key, window, now))}'
                f";t={_seconds_left(window, now)}"
                for window, limit in self._limits.items()
            )
        policy = ", ".join(f'"{w}";q={q};w={_SECONDS[w]}' for w, q in self._limits.items())
        return {"RateLimit": state, "RateLimit-Policy": policy}

    def _spent(self, key: str, window: str, now: float) -> int:
        number, used = self._used[key, window]
        return used if number == int(now // _SECONDS[window]) else 0


def _seconds_left(window: str, now: float) -> int:
    """Seconds until the next window begins, at least one."""
    seconds = _SECONDS[window]
    return max(1, int(seconds - now % seconds))
