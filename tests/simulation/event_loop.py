"""Virtual time: events in their order, and processes that sleep in it."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

from greenlet import getcurrent, greenlet

What = Callable[[], Any]


class Hub:
    """A discrete-event clock. Seconds; nothing takes time but what says so."""

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, What]] = []
        self._number = 0
        self._main = getcurrent()

    def at(self, when: float, what: What) -> None:
        """Do `what` at `when`; events of one moment go in the order in which they were set."""
        self._number += 1
        heapq.heappush(self._events, (max(when, self.now), self._number, what))

    def after(self, seconds: float, what: What) -> None:
        self.at(self.now + seconds, what)

    def process(self, body: What) -> None:
        """Run `body` as a process that may `sleep`."""
        self.at(self.now, greenlet(body, parent=self._main).switch)

    def sleep(self, seconds: float) -> None:
        """Let others go on for so long. Only inside of a process."""
        self.after(seconds, getcurrent().switch)
        self._main.switch()

    def run(self, until: float, each: What) -> None:
        """Every event up to `until`, with `each` called after it."""
        while self._events and self._events[0][0] <= until:
            self.now, _, what = heapq.heappop(self._events)
            what()
            each()
        self.now = max(self.now, until) if self._events else self.now
