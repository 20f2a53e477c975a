"""The end of a command's output, as the channel tells it: ended, signalled, or cut."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from controller.ssh.stream import Stream, Unreachable


class Ended:
    """A channel that has nothing more to say and brought no status."""

    closed = True
    exit_status = -1

    def __init__(self, *, eof: bool) -> None:
        self.eof_received = eof
        self.status_event = threading.Event()
        self.status_event.set()

    def settimeout(self, timeout: float | None) -> None: ...
    def sendall(self, s: bytes) -> None: ...
    def shutdown_write(self) -> None: ...
    def close(self) -> None: ...

    def recv(self, nbytes: int) -> bytes:
        return b""

    recv_stderr = recv


class Standing:
    """A connection that does not know yet whether it is lost."""

    clock: Callable[[], float] = staticmethod(time.monotonic)
    failures = (OSError,)

    def lost(self) -> bool:
        return False

    def unreachable(self, error: BaseException | None) -> Unreachable:
        return Unreachable("lost")


def test_row_44_a_channel_that_ends_without_a_word_was_cut() -> None:
    """Output that stops before sshd said that it ended is a cut, however late the connection itself
    notices: no file is ever taken for one that shrank on the pod because of it."""
    stream = Stream(Standing(), Ended(eof=False), time.monotonic() + 60, 60.0)

    with pytest.raises(Unreachable):
        stream.recv()


def test_a_channel_that_was_ended_by_sshd_is_a_signalled_command() -> None:
    """With that word, and no status, a signal ended the command."""
    stream = Stream(Standing(), Ended(eof=True), time.monotonic() + 60, 60.0)

    assert stream.finish().status == -1
