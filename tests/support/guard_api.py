"""A guard in a pod's folder, against a small real API of its own."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from remote import contract, guard
from remote.contract import GuardLimits, GuardReport
from tests.support.pod_side import PodSide, until

LONG = GuardLimits(boot_grace=60.0, idle=60.0, hard_cap=60.0)
POD, ACTION = "/v2/pods/pod1", "/v2/pods/pod1/action"


@dataclass
class Api:
    """Answers for pod1; a queue of statuses per path goes before the good answer.

    A path of `pages` is answered by these bytes, and one of `moved` by another address.
    """

    pages: dict[str, bytes] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    statuses: dict[str, list[int]] = field(default_factory=dict)
    calls: list[tuple[str, Any, dict[str, str]]] = field(default_factory=list)

    def answer(self, path: str, body: Any, headers: dict[str, str]) -> tuple[int, Any]:
        self.calls.append((path, body, headers))
        queue = self.statuses.get(path, [])
        status = queue.pop(0) if len(queue) > 1 else queue[0] if queue else 200
        return status, {"id": "pod1"} if status == 200 else {"title": "no"}

    def of(self, path: str) -> list[Any]:
        return [body for called, body, _ in self.calls if called == path]


@contextmanager
def serving(known: Api, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """The API on loopback; its base URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            status, value = known.answer(self._known(), body, dict(self.headers))
            raw = known.pages.get(self.path, json.dumps(value).encode())
            self.send_response(status)
            if self.path in known.moved:
                self.send_header("Location", known.moved[self.path])
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_POST = do_DELETE = do_GET

        def _known(self) -> str:
            return f"DELETE {self.path}" if self.command == "DELETE" else self.path

        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@dataclass
class Bench:
    """A guard in a pod's folder."""

    pod: PodSide
    api: Api
    base: str

    def start(self, limits: GuardLimits, **env: str) -> subprocess.Popen[bytes]:
        environment = {
            "PODCTL_GUARD": json.dumps(asdict(limits)),
            "PODCTL_API_BASE": self.base,
            "RUNPOD_API_KEY": "rpa_pod",
            "PODCTL_BOOT": "boot1",
        }
        with (self.pod.folder / "container.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-S", guard.__file__],
                env=self.pod.env | environment | env,
                stdout=log,
                stderr=log,
            )

    def report(self) -> GuardReport:
        path = self.pod.local / "guard.json"
        data = until(lambda: path.read_bytes() if path.exists() else None, f"guard: {self.log()}")
        return contract.load(GuardReport, data)

    def reports(self, **wanted: Any) -> GuardReport:
        def look() -> GuardReport | None:
            report = self.report()
            return report if all(getattr(report, k) == v for k, v in wanted.items()) else None

        return until(look, f"guard.json with {wanted}: {self.log()}")

    def stopped(self) -> list[Any]:
        return until(lambda: self.api.of(ACTION) or None, f"a stop: {self.log()}")

    def log(self) -> str:
        return (self.pod.folder / "container.log").read_text()

    def beat(self) -> None:
        self.pod.local.mkdir(parents=True, exist_ok=True)
        (self.pod.local / "beat").touch()

    def warm(self, seconds: float, then: str = "terminate", **changes: Any) -> None:
        """What the agent notes when the pod is to wait for another run after the first attempt."""
        note = {"boot_id": "boot1", "run": "r", "attempt": 1, "then": then} | changes
        note["until"] = time.monotonic() + seconds
        (self.pod.local / "warm.json").write_text(json.dumps(note))

    def lease(self, **changes: Any) -> None:
        now = time.monotonic()
        terms = {"boot_id": "boot1", "run": "r", "attempt": 1, "deadline": now + 60, "ended": None}
        terms |= {"grace_done": 60.0} | changes
        self.pod.local.mkdir(parents=True, exist_ok=True)
        (self.pod.local / "lease.json").write_text(json.dumps(terms))
