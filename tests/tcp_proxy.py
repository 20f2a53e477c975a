"""A TCP forwarder with faults: delay, a rate, a cut, a black hole, a flipped byte.

`python tests/tcp_proxy.py PORT DELAY_MS` serves alone in its own process and prints its port.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import sys
import threading
import time
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
        self.down = 0  # bytes forwarded towards the client
        self.accepted = 0
        self.cut_at: int | None = None  # cut everything once `down` passes this
        self.cut_for_good = False  # and take no new connection from then on
        self.up = 0  # bytes forwarded towards the server
        self.cut_up_at: int | None = None  # the same for `up`
        self.flip_at: int | None = None  # flip one bit of the byte with this number
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
        for one in sockets:
            _shut(one)

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            if self.refuse:
                near.close()
                continue
            try:
                far = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                near.close()
                continue
            with self._lock:
                self._sockets |= {near, far}
            for one in (near, far):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
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
            if down:
                data = self._tamper(data)
            else:
                self._count_up(data)
            try:
                sink.sendall(data)
            except OSError:
                break
        _shut(sink)
        _shut(source)

    def _count_up(self, data: bytes) -> None:
        self.up += len(data)
        if self.cut_up_at is not None and self.up > self.cut_up_at:
            self.cut_up_at = None
            self.cut()

    def _tamper(self, data: bytes) -> bytes:
        with self._lock:
            begin, self.down = self.down, self.down + len(data)
            cut = self.cut_at is not None and self.down > self.cut_at
            if cut:
                self.cut_at = None
                self.refuse = self.refuse or self.cut_for_good
            if self.flip_at is not None and begin <= self.flip_at < self.down:
                changed = bytearray(data)
                changed[self.flip_at - begin] ^= 1
                data, self.flip_at = bytes(changed), None
        if self.rate:
            time.sleep(len(data) / self.rate)
        if cut:
            self.cut()
        return data


def _shut(one: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it ended before
        one.shutdown(socket.SHUT_RDWR)
    one.close()


if __name__ == "__main__":
    with Proxy(int(sys.argv[1]), delay=float(sys.argv[2]) / 1000) as served:
        sys.stdout.write(f"{served.port}\n")
        sys.stdout.flush()
        sys.stdin.read()
