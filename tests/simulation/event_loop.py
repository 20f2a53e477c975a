"""A discrete-event loop in virtual time, with processes that can sleep in it."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

from greenlet import getcurrent, greenlet

Event = Callable[[], Any]


class EventLoop:
    """Runs events in the order of their time, in seconds; only an explicit delay takes time."""

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, Event]] = []
        self._number = 0
        self._main = getcurrent()

    def at(self, when: float, event: Event) -> None:
        """Call `what` at `when`; events of one time run in the order of these calls."""
        self._number += 1
        heapq.heappush(self._events, (max(when, self.now), self._number, event))

    def after(self, seconds: float, event: Event) -> None:
        self.at(self.now + seconds, event)

    def process(self, body: Event) -> None:
        """Run `body` as a process, which may call `sleep`."""
        self.at(self.now, greenlet(body, parent=self._main).switch)

    def sleep(self, seconds: float) -> None:
        """Suspend the calling process for `seconds`. Call it only inside a process."""
        self.after(seconds, getcurrent().switch)
        self._main.switch()

    def run(self, until: float, each: Event) -> None:
        """Run every event up to `until`, and call `each` after each of them."""
        while self._events and self._events[0][0] <= until:
            self.now, _, event = heapq.heappop(self._events)
            event()
            each()
        self.now = max(self.now, until) if self._events else self.now
