"""Corrupts responses; the request has been carried out."""

from __future__ import annotations

import gzip
from collections.abc import Iterator

from starlette.types import Message

PAGE = b"<html><head><title>Sign in</title></head><body>Welcome to the hotel.</body></html>"
BOMB = 64 * 1024 * 1024  # bytes of the decompressed body
HUGE = 100  # chunks of a megabyte
Header = tuple[bytes, bytes]


def corrupted(mode: object, messages: list[Message]) -> Iterator[Message]:
    """The messages of a complete response, corrupted by `mode`: "cut" (default), "html", "gzip",
    or "huge"."""
    start = next(message for message in messages if message["type"] == "http.response.start")
    body = b"".join(message.get("body", b"") for message in messages)
    if mode == "html":
        yield from _response(start, PAGE, (b"content-type", b"text/html"))
    elif mode == "gzip":
        bomb = gzip.compress(b" " * BOMB, 1)
        yield from _response(start, bomb, (b"content-encoding", b"gzip"))
    elif mode == "huge":
        yield from _huge(start)
    else:
        yield from _response(start, body[: len(body) // 2])


def _response(start: Message, body: bytes, *headers: Header) -> Iterator[Message]:
    yield _head(start, len(body), *headers)
    yield {"type": "http.response.body", "body": body}


def _huge(start: Message) -> Iterator[Message]:
    chunk = b" " * 1_000_000
    yield _head(start, HUGE * len(chunk))
    for number in range(1, HUGE + 1):
        yield {"type": "http.response.body", "body": chunk, "more_body": number < HUGE}


def _head(start: Message, size: int, *headers: Header) -> Message:
    """The start message for a body of `size` bytes."""
    changed = (b"content-length", b"%d" % size), *headers
    names = {name for name, _ in changed}
    unchanged = [(name, value) for name, value in start["headers"] if name.lower() not in names]
    return {**start, "headers": [*unchanged, *changed]}
