"""Reads a pod's log from server-sent events, as a bounded tail instead of a stream."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from typing import Any

import aiohttp

from controller.providers.runpod.transport import CHUNK, MAX_BODY, UnusableResponse

MAX_LINES = 5000  # limit of the API
MAX_LINE = 16 * 1024  # characters kept of one line
FIRST_SECONDS = 2.0  # wait for the first bytes after the headers
QUIET_SECONDS = 0.5  # the backfill has ended when nothing arrives for this time


class EventBody:
    """Reads until `tail` events have arrived, the stream is quiet, or a limit is reached."""

    accept = "text/event-stream"

    def __init__(self, tail: int, deadline_seconds: float, source: str = "container") -> None:
        self.source = source
        self.tail = max(1, min(tail, MAX_LINES))
        self.deadline_seconds = deadline_seconds

    async def read(self, response: aiohttp.ClientResponse) -> bytes:
        if response.content_type != "text/event-stream":
            raise UnusableResponse(f"the response to a log request is {response.content_type}")
        deadline = asyncio.get_running_loop().time() + self.deadline_seconds
        raw = bytearray()
        events = 0
        while events < self.tail and len(raw) < MAX_BODY:
            chunk = await _next(response, deadline, QUIET_SECONDS if raw else FIRST_SECONDS)
            if not chunk:
                break
            raw += chunk
            events += _boundaries(raw, len(raw) - len(chunk))
        return bytes(raw[:MAX_BODY])

    def decode(self, raw: bytes) -> list[str]:
        """The lines of `source`, oldest first; other events are skipped."""
        lines: deque[str] = deque(maxlen=self.tail)
        for data in _payloads(raw):
            line = _line(data, self.source)
            if line is not None:
                lines.append(line)
        return list(lines)


async def _next(response: aiohttp.ClientResponse, deadline: float, wait: float) -> bytes:
    """The next bytes; empty if the stream ended, was cut, or sent nothing in time."""
    remaining = deadline - asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout(max(0.0, min(wait, remaining))):
            return await response.content.read(CHUNK)
    except (TimeoutError, aiohttp.ClientError, OSError):
        return b""


def _boundaries(raw: bytearray, start: int) -> int:
    """The number of event boundaries completed by the bytes from `start` on; CRs are ignored."""
    new = bytes(raw[start:]).replace(b"\r", b"")
    before = bytes(raw[max(0, start - 2) : start]).replace(b"\r", b"")[-1:]
    return (before + new).count(b"\n\n")


def _payloads(raw: bytes) -> list[str]:
    """The `data` of each event; the last one may be incomplete and thus invalid JSON."""
    text = raw.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    payloads = []
    for event in text.split("\n\n"):
        data = [line[5:].removeprefix(" ") for line in event.split("\n") if line[:5] == "data:"]
        if data:
            payloads.append("\n".join(data))
    return payloads


def _line(data: str, source: str) -> str | None:
    try:
        document: Any = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or document.get("source", source) != source:
        return None
    line = document.get("line")
    return line[:MAX_LINE] if isinstance(line, str) else None
