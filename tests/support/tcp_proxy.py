"""A TCP forwarder with faults: delay, a rate, a cut, a reset, a black hole, a flipped bit.

`python tests/support/tcp_proxy.py PORT DELAY_MS` serves in its own process and prints its port.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType

CHUNK = 2**18  # bytes a read
BUFFER = 64 * 2**20  # bytes that may be under way in one direction


class Proxy:
    """Forwards 127.0.0.1:`port` to `target`; `delay` is seconds one way, 0 for none."""

    def __init__(self, target: int, *, delay: float = 0.0, rate: float | None = None) -> None:
        self.target = target
        self.delay = delay
        self.rate = rate  # bytes per second towards the client
        self.hole = False  # True: bytes are taken and dropped
        self.refuse = False  # True: new connections are closed at once
        self.reset = False  # True: whatever is closed here ends with a reset, not with an end
        self.down = 0  # bytes forwarded towards the client
        self.accepted = 0
        self.cut_at: int | None = None  # cut everything once `down` passes this
        self.at_cut: Callable[[], None] | None = None  # what happens just before that
        self.cut_for_good = False  # and take no new connection from then on
        self.hole_at_cut = False  # do not cut then: swallow
        self.up = 0  # bytes forwarded towards the server
        self.cut_up_at: int | None = None  # the same for `up`
        self.flip_at: int | None = None  # flip one bit of the byte with this number of `down`
        self.flip_up_at: int | None = None  # the same for `up`
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """End every connection now."""
        with self._lock:
            sockets, self._sockets = self._sockets, set()
        for connection in sockets:
            _shut(connection, self.reset)

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            try:
                far = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                _shut(near, self.reset)
                continue
            with self._lock:
                refused = self.refuse  # looked at here: a cut for good may have come just now
                if not refused:
                    self._sockets |= {near, far}
            if refused:
                _shut(near, self.reset)
                _shut(far, self.reset)
                continue
            for connection in (near, far):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for source, sink, down in ((near, far, False), (far, near, True)):
                self._carry(source, sink, down)

    def _carry(self, source: socket.socket, sink: socket.socket, down: bool) -> None:
        under_way: queue.Queue[tuple[float, bytes]] = queue.Queue(BUFFER // CHUNK)
        threading.Thread(target=self._take, args=(source, under_way), daemon=True).start()
        threading.Thread(
            target=self._give, args=(under_way, source, sink, down), daemon=True
        ).start()

    def _take(self, source: socket.socket, under_way: queue.Queue[tuple[float, bytes]]) -> None:
        data = b"x"
        while data:
            try:
                data = source.recv(CHUNK)
            except OSError:
                data = b""
            under_way.put((time.monotonic() + self.delay, data))

    def _give(
        self,
        under_way: queue.Queue[tuple[float, bytes]],
        source: socket.socket,
        sink: socket.socket,
        down: bool,
    ) -> None:
        while True:
            due, data = under_way.get()
            if (wait := due - time.monotonic()) > 0:
                time.sleep(wait)
            if not data:
                break
            if self.hole:
                continue
            data = self._tamper(data) if down else self._count_up(data)
            if self.hole:
                continue
            try:
                sink.sendall(data)
            except OSError:
                break
        _shut(sink)
        _shut(source)

    def _count_up(self, data: bytes) -> bytes:
        with self._lock:
            begin, self.up = self.up, self.up + len(data)
            if self.flip_up_at is not None and begin <= self.flip_up_at < self.up:
                data, self.flip_up_at = _flipped(data, self.flip_up_at - begin), None
            cut = self.cut_up_at is not None and self.up > self.cut_up_at
            self.cut_up_at = None if cut else self.cut_up_at
        if cut:
            self.cut()
        return data

    def _tamper(self, data: bytes) -> bytes:
        with self._lock:
            begin, self.down = self.down, self.down + len(data)
            cut = self.cut_at is not None and self.down > self.cut_at
            if cut:
                self.cut_at = None
                self.refuse = self.refuse or self.cut_for_good
                self.hole = self.hole or self.hole_at_cut
            if self.flip_at is not None and begin <= self.flip_at < self.down:
                data, self.flip_at = _flipped(data, self.flip_at - begin), None
        if self.rate:
            time.sleep(len(data) / self.rate)
        if cut and self.at_cut is not None:
            self.at_cut()
        if cut and not self.hole_at_cut:
            self.cut()
        return data


def _flipped(data: bytes, at: int) -> bytes:
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


def _shut(connection: socket.socket, reset: bool = False) -> None:
    with contextlib.suppress(OSError):  # it ended before
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            connection.shutdown(socket.SHUT_RDWR)
    connection.close()


if __name__ == "__main__":
    with Proxy(int(sys.argv[1]), delay=float(sys.argv[2]) / 1000) as served:
        sys.stdout.write(f"{served.port}\n")
        sys.stdout.flush()
        sys.stdin.read()
