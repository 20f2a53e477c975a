"""Signals that end podctl, and the warning about pods that keep billing."""

from __future__ import annotations

import contextlib
import signal
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from controller.errors import PodctlError
from controller.project.project import find
from controller.terminal.terminal import Terminal

ENDING = (signal.SIGTERM, signal.SIGHUP)  # asked to end; the terminal was closed


class Interrupted(BaseException):
    """A terminating signal arrived. It unwinds the stack like Ctrl-C, so `finally` blocks run."""

    def __init__(self, number: int) -> None:
        self.name = signal.Signals(number).name
        self.exit_code = 128 + number
        super().__init__(self.name)


@contextmanager
def signal_handlers() -> Iterator[None]:
    """Make the signals unwind the stack. An ignored signal stays ignored, as `nohup` requires."""
    before: dict[signal.Signals, Callable[..., object] | int | None] = {}
    try:
        for number in ENDING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, _end)
    except ValueError:  # not the main thread, which alone can handle signals
        before = {}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def panel_after_resume(terminal: Terminal) -> Iterator[None]:
    """After Ctrl-Z and `fg` a panel is drawn below what the shell wrote, and erases none of it."""

    def resumed(_number: int, _frame: types.FrameType | None) -> None:
        terminal.forget_panel()

    try:
        before = signal.signal(signal.SIGCONT, resumed)
    except ValueError:  # not the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGCONT, before)


def _end(number: int, _: types.FrameType | None) -> None:
    # Only once: a second signal must not interrupt the clean-up.
    for ending in ENDING:
        signal.signal(ending, signal.SIG_IGN)
    raise Interrupted(number)


def warn_of_billing(terminal: Terminal) -> None:
    """Warn about pods that bill by the local ledger, unless the error named them. No requests."""
    bills = terminal.bills
    with contextlib.suppress(PodctlError, OSError):
        bills.database = bills.database or find().database
    if billing := bills.unreported():
        terminal.warn(f"{billing}; podctl status, podctl sync")
