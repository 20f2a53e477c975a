"""Making one authenticated connection to a pod: the socket, the host key, the user's key.

Nothing of the user's own SSH set-up is used: no agent, no config, no default keys, no prompt. A
host key is right or it is an error.
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
# paramiko reads a peer's bytes in its own thread and raises here whatever they cause there: errors
# of corrupt packets, of invalid keys, of fields that point past the end.
FAILURES = (
    *(OSError, EOFError, paramiko.SSHException, InvalidTag, InvalidSignature),
    *(ValueError, LookupError, ArithmeticError, struct.error),
)
NO_REKEY = 2**40  # bytes: a re-key in a long one-way transfer can stall it

# Its thread logs a traceback for every lost connection; here that is an ordinary event, and it
# reaches the caller as an exception.
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
    """What a second connection to the same pod needs."""

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
    """A connection that sshd let in, and the thread that notices when it falls silent."""

    transport: paramiko.Transport
    keepalive: KeepaliveThread
    fabric: Connection | None = None  # of a control connection


def check_endpoint(endpoint: Endpoint) -> None:
    host = endpoint.host
    plain = host and not host.startswith("-") and all(c.isalnum() or c in ".:-_" for c in host)
    if not plain or not 0 < endpoint.port < 65536 or endpoint.user.startswith("-"):
        raise UsageError("the provider's address for the pod is not valid", where=repr(endpoint))


def connect(
    identity: Identity,
    deadline_seconds: float,
    wanted: Callable[[], bool] = lambda: True,
    *,
    control: bool = False,
) -> Authenticated:
    """Connect, trying again while the network is at fault and as long as it is `wanted`.

    With `control` the connection is fabric's, for commands, terminals and forwarding; without, it
    is paramiko's alone, for the transfer of bytes.
    """
    timing, clock = identity.timing, identity.clock
    deadline = clock() + deadline_seconds
    wait = timing.first_wait
    while True:
        began = clock()
        left = deadline - began
        try:
            with translate_os_limits():
                made = _connect_once(identity, max(0.5, min(left, timing.attempt_seconds)), control)
            _LOG.info("%s: connected, %.0f ms", identity, 1000 * (clock() - began))
            return made
        except Unreachable as error:
            ms = 1000 * (clock() - began)
            _LOG.info("%s: not connected, %.0f ms: %s", identity, ms, error.cause)
            left = deadline - clock()
            if left <= 0 or not wanted():
                raise
        # The wait is random, so that connections that were cut together do not return together.
        identity.sleep(min(left, wait * random.uniform(0.7, 1.3)))  # noqa: S311 (not a secret)
        wait = min(wait * 1.6, timing.longest_wait)


def _connect_once(identity: Identity, seconds: float, control: bool) -> Authenticated:
    key = _own_key(identity)
    link = _dial(identity, seconds)
    made: list[paramiko.Transport] = []

    def transport(sock: WatchedSocket, **_: Any) -> paramiko.Transport:
        made.append(_transport(sock, identity.host_keys, seconds))
        return made[0]

    connection = None
    try:
        if control:
            connection = _by_fabric(identity, link, key, seconds, transport)
        else:
            _by_paramiko(identity, transport(link), key, seconds)
    except FAILURES as error:
        greeted = made and made[0].remote_version
        raise _unreached(identity, error, "" if greeted else "no-banner") from error
    finally:
        if made and not made[0].is_authenticated():
            made[0].close()
    timing = identity.timing
    keepalive = KeepaliveThread(made[0], link, timing.alive_seconds, timing.alive_count)
    try:
        keepalive.start()
    except RuntimeError:  # no thread for it: nobody would notice a silent link
        made[0].close()
        raise
    return Authenticated(made[0], keepalive, connection)


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
    why = str(error) or repr(error)
    found = Unreachable("no SSH connection to the pod", where=str(identity), cause=why)
    found.symptom = symptom
    return found


def _transport(sock: WatchedSocket, host_keys: PinnedKeys, seconds: float) -> paramiko.Transport:
    """Build a transport with our ciphers and limits, which asks for the pinned types of key."""
    transport = paramiko.Transport(sock, default_window_size=WINDOW)
    options = transport.get_security_options()
    options.ciphers = [name for name in CIPHERS if name in options.ciphers]
    if wanted := host_keys.key_types():
        options.key_types = [k for k in options.key_types if k in wanted] or options.key_types
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
    """Do the same with fabric, over our socket and transport, without reading any config file."""
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
    """Raise AuthRefused only if sshd rejected the key; a cut or a silence is a network error."""
    began = time.monotonic()
    try:
        yield
    except paramiko.AuthenticationException as error:
        used = transport()
        if used is None or not used.is_active() or time.monotonic() - began >= seconds:
            raise
        raise AuthRefused("sshd on the pod rejected podctl's key", where=str(identity)) from error
