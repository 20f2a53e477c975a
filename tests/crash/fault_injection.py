"""Injects a fault into the podctl process that calls it.

podctl itself has no code for this: `inject` wraps the transaction through which journal, ledger and
locks write. Every such commit is a boundary, at which the process can send itself a signal.
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

from tests.crash.case import Fault

PATIENCE = 1.0  # longest wait of the loop, in seconds, because the emulated pod is fast
_SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}
Transaction = Callable[[sqlite3.Connection, int], contextlib.AbstractContextManager[None]]


def inject(fault: str, moments: str) -> None:
    """Inject `fault` into this process, and write its boundaries to the file `moments`."""
    _shorten_waits()
    chosen = Fault.parse(fault) if fault else None
    if chosen is not None and chosen.traced:
        _await_tracer()
        return
    if chosen is not None and chosen.effect == "raise":
        _Raises(chosen).install()
    _Boundaries(chosen, Path(moments) if moments else None).install()


def _shorten_waits() -> None:
    from controller.clock import SystemClock

    wait = SystemClock.wait

    def short(self: SystemClock, seconds: float) -> None:
        wait(self, min(seconds, PATIENCE))

    SystemClock.wait = short  # type: ignore[method-assign]


def _await_tracer() -> None:
    """Wait until strace traces this process; no call is counted before that."""
    deadline = time.monotonic() + 60.0
    while b"TracerPid:\t0\n" in Path("/proc/self/status").read_bytes():
        if time.monotonic() > deadline:
            raise SystemExit("strace did not attach")
        time.sleep(0.01)
    time.sleep(0.05)  # from seized to followed


class UnexpectedError(Exception):
    """An exception type that no part of podctl handles."""


class _Raises:
    """Raises before one action or observation of the loop, or before each from then on (`*`)."""

    def __init__(self, fault: Fault) -> None:
        self.fault, self.count = fault, 0

    def install(self) -> None:
        from controller.engine.executor import ActionExecutor

        name = "_perform" if self.fault.place == "act" else "observe"
        original = getattr(ActionExecutor, name)

        def struck(executor: Any, *words: Any) -> Any:
            self.count += 1
            late = self.count >= self.fault.number if self.fault.on else False
            if late or self.count == self.fault.number:
                raise UnexpectedError(f"{self.fault.place} {self.count}")
            return original(executor, *words)

        setattr(ActionExecutor, name, struck)


class _Boundaries:
    def __init__(self, fault: Fault | None, moments: Path | None) -> None:
        self.fault, self.moments, self.count = fault, moments, 0

    def install(self) -> None:
        from state import journal, ledger, locks

        for room in (journal, ledger, locks):
            room.writing = self._around(room.writing)  # type: ignore[attr-defined]

    def _around(self, writing: Transaction) -> Any:
        @contextlib.contextmanager
        def struck(connection: sqlite3.Connection, epoch: int) -> Iterator[None]:
            self.count += 1
            self._note(sys._getframe(2))
            self._inject("before")
            with writing(connection, epoch):
                yield
            self._inject("after")

        return struck

    def _note(self, frame: Any) -> None:
        """Write down what is committed, for the reader of a report."""
        if self.moments is not None:
            values = [frame.f_locals.get(name) for name in ("step", "phase", "kind", "stage")]
            words = " ".join(str(value) for value in (frame.f_code.co_name, *values) if value)
            with self.moments.open("a") as file:
                file.write(f"{words}\n")

    def _inject(self, place: str) -> None:
        fault = self.fault
        if fault is not None and (fault.place, fault.number) == (place, self.count):
            os.kill(os.getpid(), _SIGNALS[fault.effect])
