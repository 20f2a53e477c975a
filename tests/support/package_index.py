"""A package index on loopback that wants a login: as much of its HTTP as pip and uv need."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

USER = "reader"


@dataclass
class PackageIndex:
    """Serves the wheels of `folder`, to who knows the password."""

    folder: Path
    password: str
    url: str = ""
    refused: list[str] = field(default_factory=list)  # paths that were asked for without it


@contextmanager
def serving(index: PackageIndex) -> Iterator[PackageIndex]:
    wanted = "Basic " + base64.b64encode(f"{USER}:{index.password}".encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            if self.headers.get("Authorization") != wanted:
                index.refused.append(self.path)
                self._send(401, b"")
                return
            parts = self.path.strip("/").split("/")
            path = index.folder / parts[-1]
            if parts[0] == "files" and path.is_file():
                self._send(200, path.read_bytes(), "application/octet-stream")
                return
            name = parts[-1].replace("-", "_")
            wheels = sorted(index.folder.glob(f"{name}-*.whl"))
            links = "".join(f'<a href="/files/{wheel.name}">{wheel.name}</a>' for wheel in wheels)
            self._send(200 if wheels else 404, links.encode())

        def _send(self, status: int, body: bytes, kind: str = "text/html") -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            if status == 401:
                self.send_header("WWW-Authenticate", 'Basic realm="wheels"')
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_address[1]
    index.url = f"http://{USER}:{index.password}@127.0.0.1:{port}/simple"
    try:
        yield index
    finally:
        server.shutdown()
        server.server_close()
