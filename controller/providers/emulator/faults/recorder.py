"""Records all exchanges, for tests that check them against the published schema."""

from __future__ import annotations

import json
import os
from pathlib import Path

from starlette.datastructures import Headers
from starlette.types import Message, Scope, Send

NAME = "traffic.jsonl"  # in the state folder


class TrafficRecorder:
    """Appends one JSON object per REST exchange; log streams are recorded without their body."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME

    def listening(self, send: Send, scope: Scope, request: bytes) -> Send:
        """A `send` that records the exchange when its response is complete."""
        status = 0
        headers: dict[str, str] = {}
        reply = bytearray()

        async def sending(message: Message) -> None:
            nonlocal status, headers
            if message["type"] == "http.response.start":
                await send(message)  # adds headers to it on the way
                status, headers = message["status"], dict(Headers(scope=message))
                if _streams(headers):
                    self._write(scope, request, status, headers, b"")
                return
            reply.extend(b"" if _streams(headers) else message.get("body", b""))
            if not message.get("more_body") and not _streams(headers):
                # Written before it is sent, so that a client with the response finds the record.
                self._write(scope, request, status, headers, bytes(reply))
            await send(message)

        return sending

    def _write(
        self, scope: Scope, request: bytes, status: int, headers: dict[str, str], reply: bytes
    ) -> None:
        record = {
            "method": scope["method"],
            "path": scope["raw_path"].decode().partition("?")[0],
            "query": scope["query_string"].decode(),
            "request": request.decode(errors="replace"),
            "status": status,
            "headers": headers,
            "reply": reply.decode(errors="replace"),
        }
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, json.dumps(record).encode() + b"\n")
        finally:
            os.close(descriptor)


def _streams(headers: dict[str, str]) -> bool:
    return headers.get("content-type", "").startswith("text/event-stream")
