"""Makes one authenticated connection to a pod: socket, host key, podctl's key.

The user's own SSH set-up is not used: no agent, no config, no default keys, no prompt. A host key
that does not match is an error.
"""

from __future__ import annotations

import contextlib
import logging
import random
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import paramiko
from cryptography.exceptions import InvalidSignature, InvalidTag

from controller.errors import PodctlError, UsageError, local_limit, translate_os_limits
from controller.providers.base import Endpoint
from controller.ssh.host_keys import HostKey, PinnedKeys
from controller.ssh.keepalive import KeepaliveThread, WatchedSocket
from controller.ssh.stream import WINDOW, AuthRefused, Unreachable

if TYPE_CHECKING:
    from fabric import Connection

CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes256-ctr")
# paramiko parses a peer's bytes in its own thread and raises the errors in the caller: corrupt
# packets, invalid keys, fields that point past the end.
FAILURES = (
    *(OSError, EOFError, paramiko.SSHException, InvalidTag, InvalidSignature),
    *(ValueError, LookupError, ArithmeticError, struct.error),
)
NO_REKEY = 2**40  # bytes: a re-key in a long one-way transfer can stall it

# Its thread logs a traceback for every lost connection, which is an ordinary event here and reaches
# the caller as an exception.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)
_LOG = logging.getLogger("podctl.ssh")


@dataclass(frozen=True)
class Timing:
    """Limits in seconds. A silent connection is noticed within `alive_seconds * alive_count`."""

    attempt_seconds: float = 15.0  # one attempt: TCP, banner, key exchange, authentication
    alive_seconds: float = 15.0
    alive_count: int = 4
    first_wait: float = 0.2
    longest_wait: float = 5.0


@dataclass(frozen=True)
class Identity:
    """Everything that another connection to the same pod needs."""

    endpoint: Endpoint
    key_path: Path
    host_keys: PinnedKeys
    timing: Timing
    clock: Callable[[], float]
    sleep: Callable[[float], None]

    def __str__(self) -> str:
        return f"{self.endpoint.user}@{self.endpoint.host}:{self.endpoint.port}"


@dataclass(frozen=True)
class Authenticated:
    """An authenticated connection, and the thread that closes it when it goes silent."""

    transport: paramiko.Transport
    keepalive: KeepaliveThread
    fabric: Connection | None = None  # set for a control connection


def check_endpoint(endpoint: Endpoint) -> None:
    host = endpoint.host
    plain = (
        host
        and not host.startswith("-")
        and all(character.isalnum() or character in ".:-_" for character in host)
    )
    if not plain or not 0 < endpoint.port < 65536 or endpoint.user.startswith("-"):
        raise UsageError("the provider's address for the pod is not valid", where=repr(endpoint))


def connect(
    identity: Identity,
    deadline_seconds: float,
    wanted: Callable[[], bool] = lambda: True,
    *,
    control: bool = False,
) -> Authenticated:
    """Connect, retrying after network errors as long as `wanted` returns true.

    With `control` the connection is fabric's, for commands, terminals and forwarding; without, it
    is paramiko's alone, for the transfer of bytes.
    """
    timing, clock = identity.timing, identity.clock
    deadline = clock() + deadline_seconds
    wait = timing.first_wait
    while True:
        attempt_start = clock()
        remaining = deadline - attempt_start
        try:
            with translate_os_limits():
                authenticated = _connect_once(
                    identity, max(0.5, min(remaining, timing.attempt_seconds)), control
                )
            _LOG.info("%s: connected, %.0f ms", identity, 1000 * (clock() - attempt_start))
            return authenticated
        except Unreachable as error:
            ms = 1000 * (clock() - attempt_start)
            _LOG.info("%s: not connected, %.0f ms: %s", identity, ms, error.cause)
            remaining = deadline - clock()
            if remaining <= 0 or not wanted():
                raise
        # The wait is random, so that connections that were lost together do not return together.
        identity.sleep(min(remaining, wait * random.uniform(0.7, 1.3)))  # noqa: S311 (not a secret)
        wait = min(wait * 1.6, timing.longest_wait)


def _connect_once(identity: Identity, seconds: float, control: bool) -> Authenticated:
    key = _own_key(identity)
    link = _dial(identity, seconds)
    transports: list[paramiko.Transport] = []

    def transport(sock: WatchedSocket, **_: Any) -> paramiko.Transport:
        transports.append(_transport(sock, identity.host_keys, seconds))
        return transports[0]

    connection = None
    try:
        if control:
            connection = _by_fabric(identity, link, key, seconds, transport)
        else:
            _by_paramiko(identity, transport(link), key, seconds)
    except FAILURES as error:
        banner_received = transports and transports[0].remote_version
        raise _unreached(identity, error, "" if banner_received else "no-banner") from error
    finally:
        if transports and not transports[0].is_authenticated():
            transports[0].close()
    timing = identity.timing
    keepalive = KeepaliveThread(transports[0], link, timing.alive_seconds, timing.alive_count)
    try:
        keepalive.start()
    except RuntimeError:  # no thread left: a silent connection would go unnoticed
        transports[0].close()
        raise
    return Authenticated(transports[0], keepalive, connection)


def _own_key(identity: Identity) -> paramiko.PKey:
    try:
        return paramiko.Ed25519Key.from_private_key_file(str(identity.key_path))
    except (OSError, paramiko.SSHException) as error:
        raise local_limit(error) or AuthRefused(
            "podctl's SSH key cannot be read", where=str(identity.key_path), cause=str(error)
        ) from error


def _dial(identity: Identity, seconds: float) -> WatchedSocket:
    try:
        return WatchedSocket.dial(identity.endpoint.host, identity.endpoint.port, seconds)
    except OSError as error:
        symptom = "refused" if isinstance(error, ConnectionRefusedError) else ""
        raise _unreached(identity, error, symptom) from error


def _unreached(identity: Identity, error: Exception, symptom: str) -> PodctlError:
    if limit := local_limit(error):
        return limit
    cause = str(error) or repr(error)
    unreachable = Unreachable("no SSH connection to the pod", where=str(identity), cause=cause)
    unreachable.symptom = symptom
    return unreachable


def _transport(sock: WatchedSocket, host_keys: PinnedKeys, seconds: float) -> paramiko.Transport:
    """Build a transport with podctl's ciphers and limits, which requests the pinned types of
    key."""
    transport = paramiko.Transport(sock, default_window_size=WINDOW)
    options = transport.get_security_options()
    options.ciphers = [name for name in CIPHERS if name in options.ciphers]
    if pinned_types := host_keys.key_types():
        options.key_types = [
            key_type for key_type in options.key_types if key_type in pinned_types
        ] or options.key_types
    transport.packetizer.REKEY_BYTES = NO_REKEY
    transport.packetizer.REKEY_PACKETS = 2**31
    transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = seconds
    return transport


def _by_paramiko(
    identity: Identity, transport: paramiko.Transport, key: paramiko.PKey, seconds: float
) -> None:
    """Exchange keys, compare the server's key with the pins before anything is sent, log in."""
    transport.start_client(timeout=seconds)
    remote = transport.get_remote_server_key()
    identity.host_keys.check(HostKey(remote.get_name(), remote.asbytes()))
    with _refusals(identity, lambda: transport, seconds):
        transport.auth_publickey(identity.endpoint.user, key)


class _Pinned(paramiko.MissingHostKeyPolicy):
    """Compares every host key with the pins. Raises HostKeyMismatch."""

    def __init__(self, host_keys: PinnedKeys) -> None:
        self._host_keys = host_keys

    def missing_host_key(
        self, _client: paramiko.SSHClient, _hostname: str, key: paramiko.PKey
    ) -> None:
        self._host_keys.check(HostKey(key.get_name(), key.asbytes()))


def _by_fabric(
    identity: Identity,
    link: WatchedSocket,
    key: paramiko.PKey,
    seconds: float,
    transport: Callable[..., paramiko.Transport],
) -> Connection:
    """Do the same with fabric, over the given socket and transport, without reading any config
    file."""
    from fabric import Config, Connection

    connection = Connection(
        identity.endpoint.host,
        user=identity.endpoint.user,
        port=identity.endpoint.port,
        config=Config(lazy=True, ssh_config=paramiko.SSHConfig()),
        connect_kwargs={
            "sock": link,
            "pkey": key,
            "allow_agent": False,
            "look_for_keys": False,
            "timeout": seconds,
            "transport_factory": transport,
        },
    )
    connection.client.set_missing_host_key_policy(_Pinned(identity.host_keys))
    with _refusals(identity, connection.client.get_transport, seconds):
        connection.open()
    return connection


@contextlib.contextmanager
def _refusals(
    identity: Identity, transport: Callable[[], paramiko.Transport | None], seconds: float
) -> Iterator[None]:
    """Raise AuthRefused only if sshd rejected the key; a lost or silent connection is a network
    error."""
    start = time.monotonic()
    try:
        yield
    except paramiko.AuthenticationException as error:
        active_transport = transport()
        if (
            active_transport is None
            or not active_transport.is_active()
            or time.monotonic() - start >= seconds
        ):
            raise
        raise AuthRefused("sshd on the pod rejected podctl's key", where=str(identity)) from error
