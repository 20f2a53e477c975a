"""Local port forwarding: connections to a port of this machine reach a port of the pod.

fabric's own `forward_local` ends at the first connection that the pod refuses, which happens
whenever a service has not started yet. Here podctl closes such a connection and tries the next one.
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

HOST = "127.0.0.1"  # on both sides: no other machine can connect
CHUNK = 2**16  # bytes
MAX_CONNECTIONS = 128  # connections at once
OPEN_SECONDS = 15.0  # for sshd to open a channel to the port
ACCEPT_SECONDS = 0.5  # between two checks of whether the forward has ended


class Forward:
    """One forwarded port, served until the block or the connection ends.

    `refused` is called with the reason, in another thread, when the pod's port accepts no
    connection. Raises UsageError when the local port is taken.
    """

    def __init__(
        self,
        transport: paramiko.Transport,
        local_port: int,
        remote_port: int,
        refused: Callable[[str], None],
    ) -> None:
        self._transport, self._remote, self._refused = transport, (HOST, remote_port), refused
        self._stopped, self._slots = threading.Event(), threading.BoundedSemaphore(MAX_CONNECTIONS)
        try:
            self._listener = socket.create_server((HOST, local_port))
        except OSError as error:
            raise UsageError(
                f"cannot listen on local port {local_port}",
                cause=error.strerror or str(error),
                hint=f"podctl forward STAGE 0:{remote_port} takes a free port",
            ) from error
        self._listener.settimeout(ACCEPT_SECONDS)
        self._thread = threading.Thread(target=self._serve, name="podctl-forward", daemon=True)

    @property
    def port(self) -> int:
        """The local port; chosen by the system if 0 was requested."""
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
        self._stopped.set()
        self._listener.close()
        self._thread.join(2 * ACCEPT_SECONDS)

    def _serve(self) -> None:
        while not self._stopped.is_set() and self._transport.is_active():
            try:
                accepted, origin = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:  # closed, or no file descriptor is left: try again later
                self._stopped.wait(ACCEPT_SECONDS)
                continue
            self._accept(accepted, origin)

    def _accept(self, accepted: socket.socket, origin: tuple[str, int]) -> None:
        """Serve one connection in a thread of its own, unless there are too many already."""
        accepted.settimeout(None)
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not self._slots.acquire(blocking=False):
            accepted.close()
            self._refused(f"more than {MAX_CONNECTIONS} connections at once")
            return
        try:
            threading.Thread(
                target=self._serve_connection, args=(accepted, origin), daemon=True
            ).start()
        except RuntimeError as error:  # no thread is left
            accepted.close()
            self._slots.release()
            self._refused(str(error))

    def _serve_connection(self, accepted: socket.socket, origin: tuple[str, int]) -> None:
        """Open a channel to the pod's port and carry bytes until both sides have ended."""
        from paramiko import ChannelException, SSHException

        try:
            with accepted:
                channel = self._transport.open_channel(
                    "direct-tcpip", self._remote, origin, timeout=OPEN_SECONDS
                )
                with channel:
                    _carry(accepted, channel)
        except ChannelException as error:
            self._refused(error.text)
        except (SSHException, EOFError, OSError) as error:
            self._refused(str(error) or type(error).__name__)
        finally:
            self._slots.release()


def _carry(accepted: socket.socket, channel: paramiko.Channel) -> None:
    sender = threading.Thread(
        target=_copy, args=(accepted, channel, channel.shutdown_write), daemon=True
    )
    sender.start()
    _copy(channel, accepted, lambda: accepted.shutdown(socket.SHUT_WR))
    # A service that has sent all of its answer may still read, as long as the channel is open.
    while sender.is_alive() and not channel.closed:
        sender.join(ACCEPT_SECONDS)


def _copy(
    source: socket.socket | paramiko.Channel,
    sink: socket.socket | paramiko.Channel,
    end_sink: Callable[[], None],
) -> None:
    """Pass bytes on until `source` ends, then call `end_sink`, which closes the other side for
    writing."""
    with contextlib.suppress(OSError, EOFError):
        while data := source.recv(CHUNK):
            sink.sendall(data)
        end_sink()
