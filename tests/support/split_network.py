"""The network between a laptop and the emulator, with faults on either way to it.

Every SSH port that the API mentions is reached through a forwarder of its own, and the API itself
can be cut: what podctl sees is one cloud, whose halves fail apart from one another.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer

from tests.bench.remote_latency import Faraway, Front
from tests.support.tcp_proxy import Proxy


@dataclass
class SplitNetwork(Faraway):
    """`api_cut`: requests are taken and never answered. The ways to sshd are `proxies`."""

    api_cut: bool = False
    unanswered: int = 0
    proxies: dict[int, Proxy] = field(default_factory=dict)

    def near(self, port: int) -> int:
        with self._lock:
            if port not in self.proxies:
                self.proxies[port] = Proxy(port)
            return self.proxies[port].port

    def cut(self) -> None:
        """End every connection to a pod."""
        for proxy in list(self.proxies.values()):
            proxy.cut()

    def refuse(self, refuse: bool) -> None:
        """Let no new connection to a pod through, or again."""
        for proxy in list(self.proxies.values()):
            proxy.refuse = refuse

    @property
    def tried(self) -> int:
        """Connections to pods that were begun, let through or not."""
        return sum(proxy.accepted for proxy in self.proxies.values())


class _Front(Front):
    faraway: SplitNetwork

    def _pass(self) -> None:
        if self.faraway.api_cut:
            self.faraway.unanswered += 1
            raise ConnectionResetError("the way to the API is cut")
        super()._pass()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A request that is cut is what was asked for."""


@contextmanager
def split_network(emulator: str, api_key: str) -> Iterator[SplitNetwork]:
    """Stands before the emulator at `emulator` until the block ends."""
    network = SplitNetwork(emulator, api_key, 0.0, 0.0)
    front = _Quiet(("127.0.0.1", 0), type("Front", (_Front,), {"faraway": network}))
    network.base_url = f"http://127.0.0.1:{front.server_port}"
    threading.Thread(target=front.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield network
    finally:
        front.shutdown()
        front.server_close()
        network.cut()
