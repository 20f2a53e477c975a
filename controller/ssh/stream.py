"""The streams of one command on a pod, and the errors that it can raise."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

from controller.errors import ConnectionLost, PodctlError

WINDOW = 4 * 2**20  # bytes in flight; a larger window makes paramiko slower
CAP = 16 * 2**20  # bytes kept of one command's output


class Unreachable(ConnectionLost):
    """The pod's sshd could not be reached; the pod and its job may be fine."""

    code = "unreachable"
    symptom = ""  # "refused": the port is closed; "no-banner": open, and no SSH server behind it


class AuthRefused(ConnectionLost):
    """sshd answers and rejects podctl's key."""

    code = "auth-refused"


class SessionRefused(ConnectionLost):
    """The connection works, but sshd starts no further command on it."""

    code = "session-refused"


class CommandTimeout(ConnectionLost):
    """The connection works, but the command did not respond in time; it may still run."""

    code = "command-timeout"


class CommandFailed(PodctlError):
    """A command that podctl ran ended with a status other than 0."""

    code = "command-failed"


@dataclass(frozen=True)
class Result:
    """The result of a command. `status` is -1 if a signal ended it; `truncated`: output was
    dropped."""

    status: int
    stdout: bytes
    stderr: bytes
    truncated: bool = False

    def check(self, operation: str) -> Result:
        """Return this result. Raises CommandFailed, with the end of stderr, if it failed."""
        if self.status == 0:
            return self
        tail = self.stderr[-2000:].decode("utf-8", "replace").strip()
        raise CommandFailed(f"{operation}: status {self.status} on the pod", cause=tail)


class Channel(Protocol):
    """The part of an SSH channel that a stream uses."""

    closed: bool
    eof_received: int  # or bool
    exit_status: int
    status_event: threading.Event

    def settimeout(self, timeout: float | None) -> None: ...
    def sendall(self, s: bytes) -> None: ...
    def recv(self, nbytes: int) -> bytes: ...
    def recv_stderr(self, nbytes: int) -> bytes: ...
    def shutdown_write(self) -> None: ...
    def close(self) -> None: ...


class Connection(Protocol):
    """What a stream needs from its connection."""

    @property
    def clock(self) -> Callable[[], float]: ...
    @property
    def failures(self) -> tuple[type[Exception], ...]: ...
    def lost(self) -> bool: ...
    def unreachable(self, error: BaseException | None) -> Unreachable: ...


class Stream:
    """The standard streams of one running command; one thread may send while another reads."""

    def __init__(
        self,
        session: Connection,
        channel: Channel,
        deadline: float,
        idle_seconds: float,
        log: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`log` is called once, when the stream is closed, with the command's status."""
        self._session = session
        self._channel = channel
        self._deadline = deadline  # by the session's clock
        self._idle = idle_seconds
        self._log: Callable[[str], None] | None = log
        self._buffer = memoryview(b"")
        self._stderr = bytearray()
        self._drain = threading.Thread(target=self._read_stderr, daemon=True)
        self._drain.start()

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(*self._session.failures):  # the connection has ended before
            self._channel.close()
        log, self._log = self._log, None
        if log is not None:
            status = self._channel.exit_status
            log(f"status {status}" if status >= 0 else "no status")

    def _read_stderr(self) -> None:
        while True:
            try:
                data = self._channel.recv_stderr(65536)
            except TimeoutError:  # the reader of stdout sets the limit
                if not self._channel.closed:
                    continue
                return
            except self._session.failures:  # the reader of stdout raises it
                return
            if not data:
                return
            self._stderr += data[: max(0, CAP - len(self._stderr))]

    def _wait(self) -> float:
        remaining = self._deadline - self._session.clock()
        if remaining <= 0:
            raise self._timeout()
        return min(remaining, self._idle)

    def _timeout(self) -> CommandTimeout:
        return CommandTimeout("the command on the pod did not respond in time", where=str(self))

    def __str__(self) -> str:
        return str(self._session)

    def send(self, data: bytes | memoryview) -> None:
        """Blocks while the peer's window is full. Nothing happens if the command closed stdin."""
        self._channel.settimeout(self._wait())
        try:
            self._channel.sendall(bytes(data))
        except TimeoutError as error:
            raise self._timeout() from error
        except self._session.failures as error:
            if self._session.lost():
                raise self._session.unreachable(error) from error

    def end(self) -> None:
        """Close the command's stdin."""
        try:
            self._channel.shutdown_write()
        except self._session.failures as error:
            if self._session.lost():
                raise self._session.unreachable(error) from error

    def recv(self, limit: int = WINDOW) -> memoryview:
        """Return 1 to `limit` bytes of stdout; empty only at its end."""
        if not self._buffer:
            self._buffer = memoryview(self._receive())
        data, self._buffer = self._buffer[:limit], self._buffer[limit:]
        return data

    def _receive(self) -> bytes:
        self._channel.settimeout(self._wait())
        try:
            data = self._channel.recv(WINDOW)
        except TimeoutError as error:
            raise self._timeout() from error
        except self._session.failures as error:  # reading also sends window updates
            raise self._session.unreachable(error) from error
        if not data:
            self._await_status()
        return data

    def _await_status(self) -> None:
        """At the end of stdout, wait for the status; raises Unreachable if the connection was
        lost."""
        if not self._channel.status_event.wait(self._wait()):
            raise self._timeout()
        # sshd signals the end of stdout before it closes a channel; a lost connection does not,
        # and the channel may notice the loss long before the connection does.
        lost = not self._channel.eof_received
        if self._channel.exit_status < 0 and (lost or self._session.lost()):
            raise self._session.unreachable(None)

    def exactly(self, count: int) -> bytes:
        """Return exactly `count` bytes. Raises CommandFailed if stdout ends before."""
        parts = []
        while count:
            part = self.recv(count)
            if not part:
                self._ended_early()
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def line(self, limit: int = CAP) -> bytes:
        """Return one line without its newline; CommandFailed if it is longer or incomplete."""
        collected = bytearray()
        while len(collected) <= limit:
            part = bytes(self.recv())
            if not part:
                self._ended_early()
            head, newline, remainder = part.partition(b"\n")
            collected += head
            if newline:
                self._buffer = memoryview(remainder + bytes(self._buffer))
                return bytes(collected)
        raise CommandFailed("a line from the pod is too long", where=str(self))

    def _ended_early(self) -> None:
        self.finish().check("a command on the pod ended early")
        raise CommandFailed(
            "a command on the pod ended before its output was complete", where=str(self)
        )

    def finish(self, cap: int = CAP) -> Result:
        """Read to the end and wait for the status; at most `cap` bytes of each stream are kept.

        Raises CommandFailed if stdout exceeds `cap` by more than WINDOW.
        """
        collected, received = bytearray(), 0
        while part := self.recv():
            received += len(part)
            collected += part[: cap - len(collected)]
            if received > cap + WINDOW:
                raise CommandFailed(
                    "a command on the pod wrote more output than expected", where=str(self)
                )
        self._drain.join(self._wait())
        stderr = bytes(self._stderr[:cap])
        return Result(self._channel.exit_status, bytes(collected), stderr, truncated=received > cap)


class Sender(threading.Thread):
    """Feeds a command's stdin while its output is read, so that neither side blocks the other."""

    def __init__(self, stream: Stream, data: bytes) -> None:
        super().__init__(daemon=True)
        self._stream = stream
        self._data = data

    def run(self) -> None:
        try:
            self._stream.send(self._data)
            self._stream.end()
        except ConnectionLost:
            return  # the reader meets the same error and reports it

    def __enter__(self) -> Sender:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.__exit__(None, None, None)
        self.join(5)
