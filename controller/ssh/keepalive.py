"""Notices that a connection has gone silent, even while TCP still considers it open.

A forwarder that acknowledges bytes and drops them keeps TCP content for ever, so the question is
asked end to end: when nothing arrived for an interval the peer is asked for an answer, and when
nothing arrived for all intervals the connection is closed. Closing wakes every waiting reader.
"""

from __future__ import annotations

import socket
import threading
import time
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
    """Closes `peer` once `link` was silent for `interval * count` seconds, less one tick."""

    def __init__(self, peer: Peer, link: WatchedSocket, interval: float, count: int) -> None:
        super().__init__(name="podctl-keepalive", daemon=True)
        self._peer = peer
        self._link = link
        self._interval = interval
        self._tick = interval / 5
        self._limit = interval * count - self._tick
        self._ended = threading.Event()
        self._question: threading.Thread | None = None
        self.lost = False  # True once this thread closed the connection

    def run(self) -> None:
        while not self._ended.wait(self._tick) and self._peer.is_active():
            silent = time.monotonic() - self._link.last_byte
            if silent >= self._limit:
                self.lost = True
                self._peer.close()
                return
            if silent >= self._interval:
                self._ask()

    def _ask(self) -> None:
        # In a thread of its own: with a full send buffer sending the request would block, and
        # this loop is what ends that.
        if self._question is None or not self._question.is_alive():
            self._question = threading.Thread(target=self._question_peer, daemon=True)
            self._question.start()

    def _question_peer(self) -> None:
        try:
            self._peer.global_request("keepalive@openssh.com")
        except (OSError, EOFError):
            return  # the connection ended meanwhile; whoever reads from it is told

    def stop(self) -> None:
        self._ended.set()
