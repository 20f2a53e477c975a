"""A model hub on loopback that breaks downloads off: as much of its HTTP as the client needs."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "c" * 40


@dataclass
class Hub:
    """Serves `files` of the model some/model. Of the big one, each answer ends after `piece` bytes
    while `breaks` are left; with `down` left, answers are 503. `refusals`: by model, the status,
    X-Error-Code and X-Error-Message of every answer."""

    files: dict[str, bytes]
    piece: int = 1 << 30
    breaks: int = 0
    down: int = 0
    url: str = ""
    asked: list[tuple[str, int]] = field(default_factory=list)  # file, and from which byte
    refusals: dict[str, tuple[int, str, str]] = field(default_factory=dict)
    tokens: list[str] = field(default_factory=list)  # of each request, its Authorization


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _answer(self, *, body: bool) -> None:
            hub.tokens.append(self.headers.get("Authorization", ""))
            for model, (status, code, text) in hub.refusals.items():
                if f"/{model}/" in self.path:
                    named = {"X-Error-Code": code, "X-Error-Message": text}
                    where = {"Location": "http://127.0.0.1:9/"} if status in (302, 307) else {}
                    return self._send(status, text.encode(), named | where, body)
            if hub.down > 0:
                hub.down -= 1
                return self._send(503, b"", {}, body)
            if re.match(r"/api/models/some/model(/revision/(main|c{40}))?(\?|$)", self.path):
                siblings = [
                    {"rfilename": name, "size": len(content)} for name, content in hub.files.items()
                ]
                document = {"id": "some/model", "sha": COMMIT, "siblings": siblings}
                return self._send(200, json.dumps(document).encode(), {}, body)
            if self.path.startswith(f"/api/models/some/model/tree/{COMMIT}"):
                tree = [
                    {"type": "file", "path": name, "size": len(content), "oid": COMMIT}
                    for name, content in hub.files.items()
                ]
                return self._send(200, json.dumps(tree).encode(), {}, body)
            name = self.path.rpartition("/")[2].partition("?")[0]
            if "/some/model/resolve/" not in self.path or name not in hub.files:
                return self._send(404, b"", {"X-Error-Code": "RepoNotFound"}, body)
            return self._file(name, body)

        def _file(self, name: str, body: bool) -> None:
            content, asked = hub.files[name], self.headers.get("Range", "")
            start = int(asked.partition("=")[2].partition("-")[0] or 0)
            if body:
                hub.asked.append((name, start))
            headers = {
                "ETag": f'"{hashlib.sha256(content).hexdigest()}"',
                "X-Repo-Commit": COMMIT,
                "Accept-Ranges": "bytes",
            }
            if start:
                headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self._send(206 if start else 200, content[start:], headers, body)

        def _send(self, status: int, content: bytes, headers: dict[str, str], body: bool) -> None:
            self.send_response(status)
            for key, value in (headers | {"Content-Length": str(len(content))}).items():
                self.send_header(key, value)
            self.end_headers()
            if not body:
                return
            cut = len(content) > hub.piece and hub.breaks > 0
            self.wfile.write(content[: hub.piece] if cut else content)
            if cut:
                hub.breaks -= 1
                self.close_connection = True

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
