"""Local port forwarding: connections to a port of this machine reach a port of the pod.

fabric's own `forward_local` ends as a whole at the first connection that the pod refuses, which is
the ordinary case for a service that is not up yet; here such a connection is closed, and the next
one is tried again.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from controller.errors import UsageError

if TYPE_CHECKING:
    import paramiko

HOST = "127.0.0.1"  # on both sides: nobody else's machine gets a way to the pod
CHUNK = 2**16  # bytes
OPEN_SECONDS = 15.0  # for sshd to open a channel to the port
ACCEPT_SECONDS = 0.5  # between two looks at whether it is over


class Forward:
    """One forwarded port, served until it is closed or the connection is lost.

    `refused` is called with the reason when the pod's port takes no connection. Raises UsageError
    when the local port is taken.
    """

    def __init__(
        self,
        transport: paramiko.Transport,
        local_port: int,
        remote_port: int,
        refused: Callable[[str], None],
    ) -> None:
        self._transport, self._remote, self._refused = transport, (HOST, remote_port), refused
        self._over = threading.Event()
        try:
            self._listener = socket.create_server((HOST, local_port))
        except OSError as error:
            raise UsageError(
                f"port {local_port} of this machine cannot be used",
                cause=error.strerror or str(error),
                hint=f"choose another: podctl forward STAGE {local_port + 1}:{remote_port}",
            ) from error
        self._listener.settimeout(ACCEPT_SECONDS)
        self._thread = threading.Thread(target=self._serve, name="podctl-forward", daemon=True)

    @property
    def port(self) -> int:
        """The local port; chosen by the system when 0 was asked for."""
        return int(self._listener.getsockname()[1])

    def __enter__(self) -> Forward:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._listener.close()
        self._thread.join(2 * ACCEPT_SECONDS)

    def _serve(self) -> None:
        while not self._over.is_set() and self._transport.is_active():
            try:
                accepted, origin = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:  # closed
                return
            accepted.settimeout(None)
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._join, args=(accepted, origin), daemon=True).start()

    def _join(self, accepted: socket.socket, origin: tuple[str, int]) -> None:
        """Carry bytes both ways until both sides have ended."""
        from paramiko import SSHException

        with accepted:
            try:
                channel = self._transport.open_channel(
                    "direct-tcpip", self._remote, origin, timeout=OPEN_SECONDS
                )
            except (SSHException, EOFError, OSError) as error:
                self._refused(str(error) or type(error).__name__)
                return
            with channel:
                up = threading.Thread(target=_upward, args=(accepted, channel), daemon=True)
                up.start()
                _downward(channel, accepted)
                up.join(OPEN_SECONDS)


def _upward(source: socket.socket, sink: paramiko.Channel) -> None:
    with contextlib.suppress(OSError, EOFError):
        while data := source.recv(CHUNK):
            sink.sendall(data)
        sink.shutdown_write()


def _downward(source: paramiko.Channel, sink: socket.socket) -> None:
    with contextlib.suppress(OSError, EOFError):
        while data := source.recv(CHUNK):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
