"""Inside a podctl that is to be struck: it counts its commits and sends itself the signal.

Nothing of this is in podctl: `arm` wraps, in the one process that is to be struck, the transaction
through which journal, ledger and locks write. Every such commit is a boundary.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.crash.case import Blow

PATIENCE = 1.0  # seconds at most between two looks: nobody watches, and the pod is near
_SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}
Transaction = Callable[[sqlite3.Connection, int], contextlib.AbstractContextManager[None]]


def arm(blow: str, moments: str) -> None:
    """Make this process suffer `blow`; the boundaries it passes go into the file `moments`."""
    _hurry()
    chosen = Blow.parse(blow) if blow else None
    if chosen is not None and chosen.traced:
        _await_tracer()
        return
    if chosen is not None and chosen.effect == "raise":
        _Raises(chosen).install()
    _Boundaries(chosen, Path(moments) if moments else None).install()


def _hurry() -> None:
    from controller.clock import SystemClock

    wait = SystemClock.wait

    def short(self: SystemClock, seconds: float) -> None:
        wait(self, min(seconds, PATIENCE))

    SystemClock.wait = short  # type: ignore[method-assign]


def _await_tracer() -> None:
    """Go on only once strace follows this process; it makes no call that is counted until then."""
    deadline = time.monotonic() + 60.0
    while b"TracerPid:\t0\n" in Path("/proc/self/status").read_bytes():
        if time.monotonic() > deadline:
            raise SystemExit("no tracer came")
        time.sleep(0.01)
    time.sleep(0.05)  # from seized to followed


class Unforeseen(Exception):
    """No part of podctl knows of it."""


class _Raises:
    """Before every action, or look, of the loop it may raise: at the one, or from it on (`*`)."""

    def __init__(self, blow: Blow) -> None:
        self.blow, self.count = blow, 0

    def install(self) -> None:
        from controller.engine.executor import ActionExecutor

        name = "_perform" if self.blow.place == "act" else "look"
        original = getattr(ActionExecutor, name)

        def struck(executor: Any, *words: Any) -> Any:
            self.count += 1
            late = self.count >= self.blow.number if self.blow.on else False
            if late or self.count == self.blow.number:
                raise Unforeseen(f"{self.blow.place} {self.count}")
            return original(executor, *words)

        setattr(ActionExecutor, name, struck)


class _Boundaries:
    def __init__(self, blow: Blow | None, moments: Path | None) -> None:
        self.blow, self.moments, self.count = blow, moments, 0

    def install(self) -> None:
        from state import journal, ledger, locks

        for room in (journal, ledger, locks):
            room.writing = self._around(room.writing)  # type: ignore[attr-defined]

    def _around(self, writing: Transaction) -> Any:
        @contextlib.contextmanager
        def struck(connection: sqlite3.Connection, epoch: int) -> Iterator[None]:
            self.count += 1
            self._note(sys._getframe(2))
            self._strike("before")
            with writing(connection, epoch):
                yield
            self._strike("after")

        return struck

    def _note(self, frame: Any) -> None:
        """What the commit is about, for people."""
        if self.moments is not None:
            told = [frame.f_locals.get(name) for name in ("step", "phase", "kind", "stage")]
            words = " ".join(str(word) for word in (frame.f_code.co_name, *told) if word)
            with self.moments.open("a") as file:
                file.write(f"{words}\n")

    def _strike(self, place: str) -> None:
        blow = self.blow
        if blow is not None and (blow.place, blow.number) == (place, self.count):
            os.kill(os.getpid(), _SIGNALS[blow.effect])
