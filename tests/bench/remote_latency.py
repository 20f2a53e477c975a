"""The emulator as if it were far away: its API and its pods' SSH behind delaying links.

Between podctl and the emulator stands a front that passes every request on and replaces, in what
the API says of a pod, its SSH port by the near end of a link to it. podctl is told the front's
address as the API's and notices nothing. The provider is `runpod`, with the waits of the real one.
"""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from controller.providers.emulator.server import start_process
from controller.providers.emulator.settings import EmulatorSettings, Quota
from tests.bench.link import LinkProcess, open_link

BOOT_SECONDS = 1.0
TIMEOUT = 60.0  # seconds for one request to the emulator
NOT_PASSED = ("content-length", "transfer-encoding", "connection", "host")


@dataclass
class Faraway:
    """Where podctl finds the API; one link for each SSH port that the API mentioned."""

    emulator: str  # base URL, at no distance: for looking on
    api_key: str
    rtt_ms: float
    megabits: float
    base_url: str = ""
    _links: dict[int, LinkProcess] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def environment(self) -> dict[str, str]:
        return {"RUNPOD_API_BASE_URL": self.base_url, "RUNPOD_API_KEY": self.api_key}

    def near(self, port: int) -> int:
        """The near end of the link to `port`."""
        with self._lock:
            if port not in self._links:
                self._links[port] = open_link(port, self.rtt_ms, self.megabits)
            return self._links[port].port

    def pods(self) -> list[dict[str, Any]]:
        """The emulator's own account of every pod that ever was."""
        status, _, data = self.ask(
            "GET", "/_emulator/state", {"Authorization": f"Bearer {self.api_key}"}, b""
        )
        assert status == 200, data
        return list(json.loads(data)["pods"])

    def ask(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(urlsplit(self.emulator).netloc, timeout=TIMEOUT)
        try:
            connection.request(method, path, body or None, headers)
            reply = connection.getresponse()
            return reply.status, reply.getheaders(), reply.read()
        finally:
            connection.close()

    def close(self) -> None:
        for one in self._links.values():
            one.close()

    def moved(self, value: Any) -> Any:
        """`value` with every public SSH port replaced."""
        if isinstance(value, list):
            return [self.moved(one) for one in value]
        if not isinstance(value, dict):
            return value
        found = {key: self.moved(one) for key, one in value.items()}
        if found.get("private") == 22 and isinstance(found.get("public"), int):
            found["public"] = self.near(found["public"])
        direct = found.get("direct")
        if isinstance(direct, dict) and isinstance(value["direct"].get("port"), int):
            direct["port"] = self.near(value["direct"]["port"])
        return found


class Front(BaseHTTPRequestHandler):
    """Passes one request on."""

    protocol_version = "HTTP/1.1"
    faraway: Faraway

    def _pass(self) -> None:
        headers = {k: v for k, v in self.headers.items() if k.lower() not in NOT_PASSED}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if urlsplit(self.path).path.endswith("/logs"):
            self._stream(headers)
            return
        status, found, data = self.faraway.ask(self.command, self.path, headers, body)
        if data and self.path.startswith("/v2/pods"):
            data = json.dumps(self.faraway.moved(json.loads(data))).encode()
        self.send_response(status)
        self._send_headers(found)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, headers: dict[str, str]) -> None:
        """Server-sent events, until one side has enough."""
        where = urlsplit(self.faraway.emulator).netloc
        connection = http.client.HTTPConnection(where, timeout=TIMEOUT)
        try:
            connection.request(self.command, self.path, None, headers)
            reply = connection.getresponse()
            self.send_response(reply.status)
            self._send_headers(reply.getheaders())
            self.send_header("Connection", "close")
            self.end_headers()
            while data := reply.read1(65536):
                self.wfile.write(data)
                self.wfile.flush()
        except (OSError, http.client.HTTPException):  # one side has enough
            pass
        finally:
            self.close_connection = True
            connection.close()

    def _send_headers(self, headers: list[tuple[str, str]]) -> None:
        for name, value in headers:
            if name.lower() not in (*NOT_PASSED, "date", "server"):
                self.send_header(name, value)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the emulator keeps a log of its own."""


@contextmanager
def faraway(state_dir: Path, rtt_ms: float, megabits: float) -> Iterator[Faraway]:
    """A fresh account at `rtt_ms` and `megabits`; everything ends with the block."""
    quota = Quota(1_000_000, 1_000_000, 1_000_000)
    settings = EmulatorSettings(boot_seconds=BOOT_SECONDS, quota=quota)
    process = start_process(state_dir, settings=settings)
    cloud = Faraway(process.base_url, process.api_key, rtt_ms, megabits)
    front = ThreadingHTTPServer(("127.0.0.1", 0), type("Front", (Front,), {"faraway": cloud}))
    threading.Thread(target=front.serve_forever, daemon=True).start()
    api = open_link(front.server_port, rtt_ms, megabits)
    cloud.base_url = f"http://127.0.0.1:{api.port}"
    try:
        yield cloud
    finally:
        process.stop()
        front.shutdown()
        api.close()
        cloud.close()
