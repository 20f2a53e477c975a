"""The one door to SSH: connections to a pod, commands on it, streams through it.

Nothing of the user's own SSH set-up is used: no agent, no config, no default keys, no prompt. A
host key is right or it is an error. What fails here says nothing about the pod or its job.
"""

from __future__ import annotations

import functools
import logging
import math
import random
import shlex
import struct
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import TracebackType

import paramiko
from cryptography.exceptions import InvalidSignature, InvalidTag

from controller.errors import PodctlError, UsageError
from controller.providers.base import Endpoint
from controller.resource_limits import local_limit, naming_limits
from controller.ssh.host_keys import HostKey, PinnedKeys
from controller.ssh.keepalive import Pulse, WatchedSocket
from controller.ssh.stream import (
    CAP,
    WINDOW,
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
    "command_line",
    "remote_root",
]

CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes256-ctr")
# A peer's bytes are read in paramiko's own thread, and what they upset there is raised here as it
# is: a spoilt packet, a key that is none, a field that leads past the end.
FAILURES = (
    *(OSError, EOFError, paramiko.SSHException, InvalidTag, InvalidSignature),
    *(ValueError, LookupError, ArithmeticError, struct.error),
)
EXEC_SECONDS = 60.0  # at most, for sshd to open a channel, and again to start a command on it
NO_REKEY = 2**40  # bytes: a re-key in a long one-way transfer can stall it

# Its thread logs a traceback for every lost connection; here that is an ordinary event, and it
# reaches the caller as an exception.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class Timing:
    """Seconds. A black hole is noticed within `alive_seconds * alive_count`."""

    attempt_seconds: float = 15.0  # one attempt: TCP, banner, key exchange, authentication
    alive_seconds: float = 15.0
    alive_count: int = 4
    first_wait: float = 0.2
    longest_wait: float = 5.0


@dataclass(frozen=True)
class _Identity:
    """All that a second connection to the same pod needs."""

    endpoint: Endpoint
    key_path: Path
    host_keys: PinnedKeys
    timing: Timing
    clock: Callable[[], float]
    sleep: Callable[[float], None]

    def __str__(self) -> str:
        return f"{self.endpoint.user}@{self.endpoint.host}:{self.endpoint.port}"


def command_line(
    argv: Sequence[str], cwd: str | None = None, env: Mapping[str, str] | None = None
) -> str:
    """`argv` as the remote shell takes it: the only place that quotes. No secrets in `env`."""
    words = ["env", *(f"{k}={v}" for k, v in env.items()), *argv] if env else list(argv)
    line = f"exec {shlex.join(words)}"
    return line if cwd is None else f"cd {shlex.quote(cwd)} && {line}"


class Session:
    """One authenticated connection to one pod. Threads may share it."""

    def __init__(self, identity: _Identity, transport: paramiko.Transport, pulse: Pulse) -> None:
        self._identity = identity
        self._transport = transport
        self._pulse = pulse

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
        """Connect, trying again while the network is at fault.

        Raises Unreachable after `deadline_seconds`; HostKeyMismatch and AuthRefused at once.
        """
        _check_endpoint(endpoint)
        identity = _Identity(endpoint, key_path, host_keys, timing or Timing(), clock, sleep)
        return _connect_patiently(identity, deadline_seconds)

    def sibling(
        self, *, deadline_seconds: float = 30.0, wanted: Callable[[], bool] = lambda: True
    ) -> Session:
        """Another connection to the same endpoint with the same key and the same pins.

        It is tried again only as long as it is `wanted`.
        """
        return _connect_patiently(self._identity, deadline_seconds, wanted)

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
        """What the library raises when a connection ends under one's hands."""
        return FAILURES

    @property
    def alive(self) -> bool:
        """False once the connection is known to be gone; True proves nothing."""
        return self._transport.is_active()

    def close(self) -> None:
        self._pulse.stop()
        self._transport.close()

    def lost(self) -> bool:
        """Whether the connection, not just a channel on it, has ended."""
        if self._transport.is_active():
            # A dying transport closes its channels a moment before it says that it is dead.
            self._transport.join(0.2)
        return not self._transport.is_active()

    def unreachable(self, error: BaseException | None) -> Unreachable:
        silent = "nothing came back for too long" if self._pulse.lost else "it was closed"
        cause = str(error) if error and str(error) else silent
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
        """Start `argv` and talk with it; closing the stream abandons the command.

        CommandTimeout after `deadline_seconds` in all, `idle_seconds` of waiting for one byte, or
        `EXEC_SECONDS` without sshd's word that it runs.
        """
        line = command_line(argv, None if cwd is None else str(cwd), env)
        deadline = self.clock() + deadline_seconds
        try:
            channel = self._transport.open_session(timeout=min(EXEC_SECONDS, deadline_seconds))
            self._execute(channel, line, min(EXEC_SECONDS, deadline_seconds))
        except paramiko.ChannelException as error:
            raise SessionRefused(
                "sshd on the pod opens no more sessions on this connection",
                where=str(self),
                cause=error.text,
                hint="MaxSessions in its sshd_config, or end what hangs there: podctl ssh",
            ) from error
        except FAILURES as error:
            raise self.unreachable(error) from error
        with naming_limits():
            return Stream(self, channel, deadline, idle_seconds)

    def _execute(self, channel: paramiko.Channel, line: str, seconds: float) -> None:
        """Have sshd start `line`; CommandTimeout when it says neither yes nor no within `seconds`.

        paramiko waits for that word without a limit, and a peer that keeps the connection alive
        is not silent.
        """
        late = threading.Event()

        def leave() -> None:
            late.set()
            harder.start()
            channel.close()  # wakes who waits for the word

        limit = _timer(seconds, leave)
        harder = _timer(5.0, self._transport.close)  # wakes who cannot even send
        with naming_limits():
            limit.start()
        try:
            channel.exec_command(line)
        except FAILURES as error:
            if late.is_set():
                raise self._never_started() from error
            raise
        finally:
            limit.cancel()
            harder.cancel()
        if late.is_set():  # the word came as its channel was being closed
            raise self._never_started()

    def _never_started(self) -> CommandTimeout:
        return CommandTimeout(
            "sshd on the pod did not start a command in time",
            where=str(self),
            cause="it opened a channel and answered no request to run something there",
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
        shown = self.run(["sh", "-c", f'printf %s "${{{ENV_ROOT}-}}"']).check("reading the root")
        return shown.stdout.decode("utf-8", "replace").rstrip("/")

    def layout(self, mount: str = "/workspace") -> Layout:
        """The contract's paths below `<root><mount>/podctl`."""
        return Layout(PurePosixPath(f"{self.root}{mount}/podctl"))


def remote_root(session: Session) -> str:
    """The prefix of absolute paths on this pod; asked once per connection."""
    return session.root


def _timer(seconds: float, act: Callable[[], None]) -> threading.Timer:
    timer = threading.Timer(seconds, act)
    timer.daemon = True
    return timer


def _check_endpoint(endpoint: Endpoint) -> None:
    host = endpoint.host
    plain = host and not host.startswith("-") and all(c.isalnum() or c in ".:-_" for c in host)
    if not plain or not 0 < endpoint.port < 65536 or endpoint.user.startswith("-"):
        raise UsageError("the provider's address for the pod makes no sense", where=repr(endpoint))


def _connect_patiently(
    identity: _Identity, deadline_seconds: float, wanted: Callable[[], bool] = lambda: True
) -> Session:
    timing, clock = identity.timing, identity.clock
    deadline = clock() + deadline_seconds
    wait = timing.first_wait
    while True:
        left = deadline - clock()
        try:
            with naming_limits():
                return _connect_once(identity, max(0.5, min(left, timing.attempt_seconds)))
        except Unreachable:
            left = deadline - clock()
            if left <= 0 or not wanted():
                raise
        # Spread, so that four connections that were cut together do not come back together.
        identity.sleep(min(left, wait * random.uniform(0.7, 1.3)))  # noqa: S311 (not a secret)
        wait = min(wait * 1.6, timing.longest_wait)


def _connect_once(identity: _Identity, seconds: float) -> Session:
    transport = None
    try:
        key = paramiko.Ed25519Key.from_private_key_file(str(identity.key_path))
    except (OSError, paramiko.SSHException) as error:
        raise local_limit(error) or AuthRefused(
            "our own SSH key cannot be read", where=str(identity.key_path), cause=str(error)
        ) from error
    link = _dial(identity, seconds)
    try:
        transport = paramiko.Transport(link, default_window_size=WINDOW)
        _negotiate(transport, identity.host_keys, seconds)
        _authenticate(transport, identity, key, seconds)
    except FAILURES as error:
        greeted = transport is not None and transport.remote_version
        raise _unreached(identity, error, "" if greeted else "no-banner") from error
    finally:
        if transport is not None and not transport.is_authenticated():
            transport.close()
    pulse = Pulse(transport, link, identity.timing.alive_seconds, identity.timing.alive_count)
    try:
        pulse.start()
    except RuntimeError:  # no thread for it: nobody would notice a silent link
        transport.close()
        raise
    return Session(identity, transport, pulse)


def _dial(identity: _Identity, seconds: float) -> WatchedSocket:
    try:
        return WatchedSocket.dial(identity.endpoint.host, identity.endpoint.port, seconds)
    except OSError as error:
        symptom = "refused" if isinstance(error, ConnectionRefusedError) else ""
        raise _unreached(identity, error, symptom) from error


def _unreached(identity: _Identity, error: Exception, symptom: str) -> PodctlError:
    if limit := local_limit(error):
        return limit
    why = str(error) or repr(error)
    found = Unreachable("no SSH connection to the pod", where=str(identity), cause=why)
    found.symptom = symptom
    return found


def _authenticate(
    transport: paramiko.Transport, identity: _Identity, key: paramiko.PKey, seconds: float
) -> None:
    """Raises AuthRefused only for sshd's own no: a cut or a silence here is the network's."""
    began = time.monotonic()
    try:
        transport.auth_publickey(identity.endpoint.user, key)
    except paramiko.AuthenticationException as error:
        if not transport.is_active() or time.monotonic() - began >= seconds:
            raise
        raise AuthRefused("sshd on the pod refuses our key", where=str(identity)) from error


def _negotiate(transport: paramiko.Transport, host_keys: PinnedKeys, seconds: float) -> None:
    """Exchange keys and compare the server's with the pins, before anything else is said."""
    options = transport.get_security_options()
    options.ciphers = [name for name in CIPHERS if name in options.ciphers]
    if wanted := host_keys.kinds():
        options.key_types = [k for k in options.key_types if k in wanted] or options.key_types
    transport.packetizer.REKEY_BYTES = NO_REKEY
    transport.packetizer.REKEY_PACKETS = 2**31
    transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = seconds
    transport.start_client(timeout=seconds)
    remote = transport.get_remote_server_key()
    host_keys.check(HostKey(remote.get_name(), remote.asbytes()))
