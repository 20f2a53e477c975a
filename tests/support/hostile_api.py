"""A loopback server that answers as it is told: garbage, silence, or a script of answers."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Request:
    """What one request of ours was, in full."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Answering = Callable[[BaseHTTPRequestHandler, Request], None]


@dataclass
class Server:
    """`answering` writes the answer to each request; every request is kept."""

    answering: Answering
    requests: list[Request] = field(default_factory=list)
    base_url: str = ""


@contextmanager
def serve(answering: Answering, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """Serve `answering` on a free port of loopback, behind `tls` if it is given."""
    state = Server(answering)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            asked = Request(self.command, self.path, dict(self.headers), self.rfile.read(size))
            state.requests.append(asked)
            self.close_connection = True
            state.answering(self, asked)

        do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _any

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    scheme = "https" if tls else "http"
    state.base_url = f"{scheme}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def reply(
    status: int,
    document: Any = None,
    *,
    raw: bytes | None = None,
    kind: str = "application/json",
    headers: Mapping[str, str] | None = None,
) -> Answering:
    """An answer with a JSON document or raw bytes."""

    def answer(handler: BaseHTTPRequestHandler, _: Request) -> None:
        data = (
            raw if raw is not None else b"" if document is None else json.dumps(document).encode()
        )
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(data)))
        for name, value in (headers or {}).items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(data)

    return answer


def problem(status: int, detail: str, *errors: str, **headers: str) -> Answering:
    """RunPod's own error document; `retry_after="3"` becomes the header `Retry-After: 3`."""
    document: dict[str, Any] = {"title": "Error", "status": status, "detail": detail}
    if errors:
        document["errors"] = list(errors)
    named = {name.replace("_", "-").title(): value for name, value in headers.items()}
    return reply(status, document, kind="application/problem+json", headers=named)


def hang_up(handler: BaseHTTPRequestHandler, _: Request) -> None:
    """Drop the connection without a byte."""
    handler.connection.shutdown(socket.SHUT_RDWR)


def cut_short(handler: BaseHTTPRequestHandler, _: Request) -> None:
    """Promise a thousand bytes and send ten."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"pods": [')


def endless(handler: BaseHTTPRequestHandler, _: Request) -> None:
    """Send a hundred megabytes, as long as anyone listens."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(100_000_000))
    handler.end_headers()
    piece = b" " * 1_000_000
    try:
        for _piece in range(100):
            handler.wfile.write(piece)
    except OSError:
        return  # the client had enough


def silent(handler: BaseHTTPRequestHandler, _: Request) -> None:
    """Never answer, until the client leaves."""
    handler.connection.settimeout(20)
    try:
        handler.connection.recv(1)
    except OSError:
        return
