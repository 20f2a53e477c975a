"""The signals that end podctl, and what is said about the pods that go on without it."""

from __future__ import annotations

import contextlib
import signal
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from controller.errors import PodctlError
from controller.project.project import find
from controller.terminal.terminal import Terminal

ENDING = (signal.SIGTERM, signal.SIGHUP)  # asked to go, and the terminal went


class Interrupted(BaseException):
    """Such a signal arrived; unwinds like Ctrl-C, so that `finally` and `with` do their work."""

    def __init__(self, number: int) -> None:
        self.name = signal.Signals(number).name
        self.exit_code = 128 + number
        super().__init__(self.name)


@contextmanager
def signal_handlers() -> Iterator[None]:
    """Make the signals unwind the stack; one that was ignored stays so, as `nohup` wants it."""
    before: dict[signal.Signals, Callable[..., object] | int | None] = {}
    try:
        for number in ENDING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, _end)
    except ValueError:  # not the main thread: whoever runs that hears them
        before = {}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(number: int, _: types.FrameType | None) -> None:
    # Once: what is put in order now is not to be torn by a second one.
    for one in ENDING:
        signal.signal(one, signal.SIG_IGN)
    raise Interrupted(number)


def warn_of_billing(terminal: Terminal) -> None:
    """What bills on, by the ledger here, unless the error said it; nothing is asked of anybody."""
    bills = terminal.bills
    with contextlib.suppress(PodctlError, OSError):
        bills.database = bills.database or find().database
    if told := bills.untold():
        terminal.warn(f"{told}; podctl status, podctl sync")
