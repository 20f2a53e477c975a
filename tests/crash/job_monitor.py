"""Monitors jobs: each holds a connection to the monitor while any process of it lives.

The kernel closes the connection when the job dies, so two open connections are two running jobs.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from dataclasses import dataclass, field


@dataclass
class ObservedJobs:
    """The jobs of one project."""

    starts: list[float] = field(default_factory=list)  # Unix seconds
    overlaps: int = 0
    open: list[socket.socket] = field(default_factory=list)


class JobMonitor:
    """Listens on loopback until closed."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._seen: dict[str, ObservedJobs] = {}
        self._lock = threading.Lock()
        self._ending = False
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def of(self, project: str) -> ObservedJobs:
        with self._lock:
            return self._seen.setdefault(project, ObservedJobs())

    def close(self) -> None:
        self._ending = True
        self._thread.join(10.0)
        self._listener.close()

    def _watch(self) -> None:
        while not self._ending:
            for key, _ in self._selector.select(0.2):
                if key.fileobj is self._listener:
                    self._welcome(self._listener.accept()[0])
                else:
                    assert isinstance(key.fileobj, socket.socket)
                    self._hear(key.fileobj)

    def _welcome(self, job: socket.socket) -> None:
        job.setblocking(False)
        self._selector.register(job, selectors.EVENT_READ)

    def _hear(self, job: socket.socket) -> None:
        """A job's first line is its project's name; then there is only its end."""
        try:
            data = job.recv(200)
        except OSError:
            data = b""
        if not data:
            self._selector.unregister(job)
            job.close()
            return
        jobs = self.of(data.decode().strip())
        jobs.open = [connection for connection in jobs.open if _is_open(connection)]
        jobs.overlaps += bool(jobs.open)
        jobs.starts.append(time.time())
        jobs.open.append(job)


def _is_open(job: socket.socket) -> bool:
    """Whether the other end is still open; its close may not have arrived yet."""
    if job.fileno() < 0:
        return False
    with contextlib.suppress(BlockingIOError):
        try:
            return bool(job.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except ConnectionError:
            return False
    return True
