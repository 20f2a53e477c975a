"""Answers that are spoilt on their way: what was done stays done."""

from __future__ import annotations

import gzip
from collections.abc import Iterator

from starlette.types import Message

PAGE = b"<html><head><title>Sign in</title></head><body>Welcome to the hotel.</body></html>"
BOMB = 64 * 1024 * 1024  # bytes of the unfolded answer
HUGE = 100  # pieces of a megabyte
Header = tuple[bytes, bytes]


def spoilt(how: object, held: list[Message]) -> Iterator[Message]:
    """The messages of a complete answer, spoilt: "cut" (the default), "html", "gzip", "huge"."""
    start = next(message for message in held if message["type"] == "http.response.start")
    body = b"".join(message.get("body", b"") for message in held)
    if how == "html":
        yield from _answer(start, PAGE, (b"content-type", b"text/html"))
    elif how == "gzip":
        bomb = gzip.compress(b" " * BOMB, 1)
        yield from _answer(start, bomb, (b"content-encoding", b"gzip"))
    elif how == "huge":
        yield from _huge(start)
    else:
        yield from _answer(start, body[: len(body) // 2])


def _answer(start: Message, body: bytes, *more: Header) -> Iterator[Message]:
    yield _head(start, len(body), *more)
    yield {"type": "http.response.body", "body": body}


def _huge(start: Message) -> Iterator[Message]:
    piece = b" " * 1_000_000
    yield _head(start, HUGE * len(piece))
    for number in range(1, HUGE + 1):
        yield {"type": "http.response.body", "body": piece, "more_body": number < HUGE}


def _head(start: Message, size: int, *more: Header) -> Message:
    """The head of the answer for a body of `size` bytes."""
    changed = (b"content-length", b"%d" % size), *more
    names = {name for name, _ in changed}
    kept = [(name, value) for name, value in start["headers"] if name.lower() not in names]
    return {**start, "headers": [*kept, *changed]}
