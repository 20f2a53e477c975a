"""A call beside the main thread's work, whose end and errors are the main thread's."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import TypeVar

from controller.errors import ConnectionLost
from controller.incident import NOT_OURS, Incident, attempt

T = TypeVar("T")
TICK_SECONDS = 0.5
MOST_SECONDS = 10 * 3600.0  # beyond the limits of every call that is made here


class BackgroundCall:
    """Runs `act` in a thread for the length of a `with` block.

    The block ends once both have ended, and raises what `act` raised. After Ctrl-C it does not
    wait: the caller closes the connection, which ends the call.
    """

    def __init__(self, act: Callable[[], None]) -> None:
        self._act = act
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="podctl-background", daemon=True)

    def _run(self) -> None:
        try:
            result = attempt(self._act)
        except NOT_OURS as error:
            self._error = error
            return
        if isinstance(result, Incident):
            self._error = result.error

    def __enter__(self) -> BackgroundCall:
        self._thread.start()
        return self

    def running(self, seconds: float) -> bool:
        """Whether the call still runs after `seconds`; returns as soon as it does not."""
        self._thread.join(seconds)
        return self._thread.is_alive()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None or issubclass(kind, Exception):
            self._thread.join(MOST_SECONDS)
        if kind is None and self._thread.is_alive():
            raise ConnectionLost("the pod did not respond in time")
        if kind is None and self._error is not None:
            raise self._error


def call_with_ticks(act: Callable[[], T], tick: Callable[[], None]) -> T:
    """What `act`, in a thread, returns or raises; meanwhile `tick` is called here.

    `act` has a deadline of its own. Ctrl-C is raised at once.
    """
    results: list[T] = []
    with BackgroundCall(lambda: results.append(act())) as call:
        while call.running(TICK_SECONDS):
            attempt(tick)  # a failing display delays nothing
    return results[0]
