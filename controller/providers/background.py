"""A call that runs in a thread of its own while its caller does something else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from controller.errors import ConnectionLost
from controller.incident import Incident, attempt

T = TypeVar("T")


class BackgroundCall(Generic[T]):
    """Starts `call` at once; `result` waits for it.

    The thread does not keep the process from ending, so `call` must not change anything that
    has to be undone.
    """

    def __init__(self, call: Callable[[], T], name: str) -> None:
        self._call = call
        self._name = name
        self._outcomes: list[T | Incident] = []
        self._thread = threading.Thread(target=self._run, name=f"podctl-{name}", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # no thread left
            self._run()

    def _run(self) -> None:
        self._outcomes.append(attempt(self._call, let_pass=()))

    def result(self, seconds: float) -> T:
        """What the call returned; raises what it raised, and ConnectionLost after `seconds`."""
        if not self._outcomes:
            self._thread.join(seconds)
        if not self._outcomes:
            raise ConnectionLost(f"no answer in time: {self._name}", cause=f"{seconds:.0f} s")
        outcome = self._outcomes[0]
        if isinstance(outcome, Incident):
            raise outcome.error
        return outcome
