"""Notices that a connection has gone silent, even while TCP still considers it open.

A forwarder that acknowledges bytes and drops them keeps the TCP connection open indefinitely, so
the check is end to end: after one silent interval the peer is sent a request, and after all
intervals the connection is closed. Closing wakes every waiting reader.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from typing import Protocol


class Peer(Protocol):
    """The part of an SSH transport that the keepalive thread uses."""

    def global_request(self, kind: str, data: None = None, wait: bool = True) -> object: ...
    def is_active(self) -> bool: ...
    def close(self) -> None: ...


class WatchedSocket(socket.socket):
    """A TCP socket that remembers when its last byte arrived (monotonic seconds)."""

    last_byte: float = 0.0

    @classmethod
    def dial(cls, host: str, port: int, seconds: float) -> WatchedSocket:
        """Connect within `seconds`; raises OSError."""
        plain = socket.create_connection((host, port), timeout=seconds)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        watched = cls(fileno=plain.detach())
        watched.settimeout(seconds)
        watched.last_byte = time.monotonic()
        return watched

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        data = super().recv(bufsize, flags)
        self.last_byte = time.monotonic()
        return data


class KeepaliveThread(threading.Thread):
    """Closes `peer` once `link` has been silent for `interval * count` seconds, less one tick."""

    def __init__(self, peer: Peer, link: WatchedSocket, interval: float, count: int) -> None:
        super().__init__(name="podctl-keepalive", daemon=True)
        self._peer = peer
        self._link = link
        self._interval = interval
        self._tick = interval / 5
        self._limit = interval * count - self._tick
        self._stopped = threading.Event()
        self._request: threading.Thread | None = None
        self.lost = False  # True once this thread closed the connection

    def run(self) -> None:
        while not self._stopped.wait(self._tick) and self._peer.is_active():
            idle_seconds = time.monotonic() - self._link.last_byte
            if idle_seconds >= self._limit:
                self.lost = True
                self._peer.close()
                return
            if idle_seconds >= self._interval:
                self._send_request()

    def _send_request(self) -> None:
        # In a separate thread: with a full send buffer the request would block, and this loop has
        # to keep running to close the connection.
        if self._request is None or not self._request.is_alive():
            self._request = threading.Thread(target=self._request_reply, daemon=True)
            self._request.start()

    def _request_reply(self) -> None:
        try:
            self._peer.global_request("keepalive@openssh.com")
        except (OSError, EOFError):
            return  # the connection has ended; its readers get the error

    def stop(self) -> None:
        self._stopped.set()


def daemon_timer(seconds: float, action: Callable[[], None]) -> threading.Timer:
    """A timer that is not started yet and does not keep the process from ending."""
    timer = threading.Timer(seconds, action)
    timer.daemon = True
    return timer
