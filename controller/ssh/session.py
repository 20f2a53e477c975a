"""Connections to a pod, and the commands and streams that run on them.

Errors concern the connection: they prove nothing about the pod or its job.
"""

from __future__ import annotations

import functools
import logging
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import TYPE_CHECKING

import paramiko

from controller.errors import translate_os_limits
from controller.providers.base import Endpoint
from controller.ssh.command_line import command_line
from controller.ssh.connect import (
    FAILURES,
    Authenticated,
    Identity,
    Timing,
    check_endpoint,
    connect,
)
from controller.ssh.host_keys import PinnedKeys
from controller.ssh.keepalive import daemon_timer
from controller.ssh.pseudo_terminal import Pty
from controller.ssh.spare_channel import SpareChannel
from controller.ssh.stream import (
    CAP,
    AuthRefused,
    CommandFailed,
    CommandTimeout,
    Result,
    Sender,
    SessionRefused,
    Stream,
    Unreachable,
)
from remote.contract import ENV_ROOT, Layout

if TYPE_CHECKING:
    from fabric import Connection

__all__ = [
    "AuthRefused",
    "CommandFailed",
    "CommandTimeout",
    "Result",
    "Session",
    "SessionRefused",
    "Stream",
    "Timing",
    "Unreachable",
]

_LOG = logging.getLogger("podctl.ssh")
EXEC_SECONDS = 60.0  # limit for sshd to open a channel, and again to start a command on it


class Session:
    """One authenticated connection to one pod. Threads may share it."""

    def __init__(self, identity: Identity, authenticated: Authenticated) -> None:
        self._identity = identity
        self._transport = authenticated.transport
        self._keepalive = authenticated.keepalive
        self._fabric = authenticated.fabric
        self._spare = SpareChannel(authenticated.transport, wanted=self._fabric is not None)

    @classmethod
    def connect(
        cls,
        endpoint: Endpoint,
        key_path: Path,
        host_keys: PinnedKeys,
        *,
        deadline_seconds: float = 120.0,
        timing: Timing | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Session:
        """Connect, retrying after network errors.

        Raises Unreachable after `deadline_seconds`; HostKeyMismatch and AuthRefused at once.
        """
        check_endpoint(endpoint)
        identity = Identity(endpoint, key_path, host_keys, timing or Timing(), clock, sleep)
        return cls(identity, connect(identity, deadline_seconds, control=True))

    def sibling(
        self, *, deadline_seconds: float = 30.0, wanted: Callable[[], bool] = lambda: True
    ) -> Session:
        """Another connection to the same endpoint with the same key and the same pins.

        Retries only as long as `wanted` returns true.
        """
        return Session(self._identity, connect(self._identity, deadline_seconds, wanted))

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __str__(self) -> str:
        return str(self._identity)

    @property
    def endpoint(self) -> Endpoint:
        return self._identity.endpoint

    @property
    def clock(self) -> Callable[[], float]:
        return self._identity.clock

    @property
    def failures(self) -> tuple[type[Exception], ...]:
        """The exceptions of the SSH library when a connection ends during a call."""
        return FAILURES

    @property
    def alive(self) -> bool:
        """False once the connection is known to have ended; True proves nothing."""
        return self._transport.is_active()

    def close(self) -> None:
        self._keepalive.stop()
        self._transport.close()

    def lost(self) -> bool:
        """Whether the connection, not just a channel on it, has ended."""
        if self._transport.is_active():
            # A failing transport closes its channels a moment before it reports itself inactive.
            self._transport.join(0.2)
        return not self._transport.is_active()

    def unreachable(self, error: BaseException | None) -> Unreachable:
        default_cause = (
            "the pod did not respond for too long" if self._keepalive.lost else "it was closed"
        )
        cause = str(error) if error and str(error) else default_cause
        return Unreachable("the connection to the pod was lost", where=str(self), cause=cause)

    def stream(
        self,
        argv: Sequence[str],
        *,
        cwd: str | PurePosixPath | None = None,
        env: Mapping[str, str] | None = None,
        deadline_seconds: float = 3600.0,
        idle_seconds: float = math.inf,
    ) -> Stream:
        """Start `argv` and return its streams; closing the stream abandons the command.

        Raises CommandTimeout after `deadline_seconds` in all, `idle_seconds` without a byte, or
        `EXEC_SECONDS` without sshd's confirmation that it runs.
        """
        line = command_line(argv, None if cwd is None else str(cwd), env)
        deadline = self.clock() + deadline_seconds
        log = self._log_of(line)
        channel = self._start(line, min(EXEC_SECONDS, deadline_seconds), log)
        self._spare.prepare()
        with translate_os_limits():
            return Stream(self, channel, deadline, idle_seconds, log)

    def open_terminal(self, line: str, pty: Pty) -> paramiko.Channel:
        """Start the shell command `line` with a terminal of its own on the pod.

        Raises SessionRefused when sshd gives no terminal, CommandTimeout after `EXEC_SECONDS`,
        Unreachable when the connection is lost.
        """
        return self._start(line, EXEC_SECONDS, self._log_of(line), pty)

    def _log_of(self, line: str) -> Callable[[str], None]:
        """Returns a function that logs the status and the duration of the command `line`."""
        start = self.clock()

        def log(status: str) -> None:
            _LOG.info("%s: %s, %.0f ms: %s", self, status, 1000 * (self.clock() - start), line)

        return log

    def _start(
        self, line: str, seconds: float, log: Callable[[str], None], pty: Pty | None = None
    ) -> paramiko.Channel:
        try:
            channel = self._spare.take(seconds)
            self._execute(channel, line, seconds, pty)
        except paramiko.ChannelException as error:
            log("no session")
            raise SessionRefused(
                "sshd on the pod opens no more sessions on this connection",
                where=str(self),
                cause=error.text,
                hint="end other commands on the pod, or raise MaxSessions in its sshd_config",
            ) from error
        except CommandTimeout:
            log("not started")
            raise
        except FAILURES as error:
            log("connection lost")
            if pty is not None and not self.lost():
                raise SessionRefused(
                    "sshd on the pod refused a terminal",
                    where=str(self),
                    cause=str(error) or "PermitTTY may be off in its sshd_config",
                    hint="podctl exec STAGE -- COMMAND runs a command without a terminal",
                ) from error
            raise self.unreachable(error) from error
        return channel

    def _execute(
        self, channel: paramiko.Channel, line: str, seconds: float, pty: Pty | None
    ) -> None:
        """Have sshd start `line`; CommandTimeout if it does not respond within `seconds`.

        paramiko waits for the response without a limit, and the keepalive thread does not notice
        a peer that only keeps the connection alive.
        """
        timed_out = threading.Event()

        def abandon() -> None:
            timed_out.set()
            close_timer.start()
            channel.close()  # ends the wait for the response

        limit_timer = daemon_timer(seconds, abandon)
        close_timer = daemon_timer(5.0, self._transport.close)  # ends a send that blocks
        with translate_os_limits():
            limit_timer.start()
        try:
            if pty is not None:
                channel.get_pty(pty.term, pty.columns, pty.rows)
            channel.exec_command(line)
        except FAILURES as error:
            if timed_out.is_set():
                raise self._never_started() from error
            raise
        finally:
            limit_timer.cancel()
            close_timer.cancel()
        if timed_out.is_set():  # the response arrived while the channel was being closed
            raise self._never_started()

    def _never_started(self) -> CommandTimeout:
        return CommandTimeout(
            "sshd on the pod did not start a command in time",
            where=str(self),
            cause="it opened a channel but did not respond to the request to run the command",
            hint="podctl ssh to look at the pod; podctl sync tries again",
        )

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        cwd: str | PurePosixPath | None = None,
        env: Mapping[str, str] | None = None,
        deadline_seconds: float = 60.0,
        cap: int = CAP,
    ) -> Result:
        """Run `argv` to its end; at most `cap` bytes of each output are kept."""
        with self.stream(argv, cwd=cwd, env=env, deadline_seconds=deadline_seconds) as stream:
            if len(stdin) <= 2**16:
                stream.send(stdin)
                stream.end()
                return stream.finish(cap)
            with Sender(stream, stdin):
                return stream.finish(cap)

    @functools.cached_property
    def root(self) -> str:
        """Prefix of every absolute path on the pod: empty except in an emulated pod."""
        result = self.run(["sh", "-c", f'printf %s "${{{ENV_ROOT}-}}"']).check("reading the root")
        return result.stdout.decode("utf-8", "replace").rstrip("/")

    def control(self) -> Connection:
        """The fabric connection, for port forwarding. A sibling has none."""
        assert self._fabric is not None
        return self._fabric

    def layout(self, mount: str = "/workspace") -> Layout:
        """The contract's paths below `<root><mount>/podctl`."""
        return Layout(PurePosixPath(f"{self.root}{mount}/podctl"))
