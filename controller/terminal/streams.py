"""What a text stream can show: whether it is a terminal, its width, its characters."""

from __future__ import annotations

import os
from typing import IO, Any


def is_tty(stream: IO[Any] | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


def columns_of(stream: IO[str] | None) -> int:
    """Columns of the terminal behind `stream`; 80 where it does not say."""
    return known_columns(stream) or 80


def known_columns(stream: IO[str] | None) -> int:
    """Columns of the terminal behind `stream`; 0 for a file, a pipe, or where it does not say."""
    if stream is None or not is_tty(stream):
        return 0
    try:
        return os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError, AttributeError):
        return 0


def draws_unicode(stream: IO[str] | None) -> bool:
    """Whether the stream's encoding has line drawings; a C locale has none."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return encoding.lower().replace("-", "").startswith("utf")


def encodable(text: str, stream: IO[str]) -> str:
    """`text` in the stream's encoding; a C locale must not cause an error."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "replace").decode(encoding, "replace")


def rows_of(stream: IO[str] | None) -> int:
    """Rows of the terminal behind `stream`; 24 where it does not say."""
    try:
        return os.get_terminal_size(stream.fileno()).lines or 24 if stream is not None else 24
    except (OSError, ValueError, AttributeError):
        return 24


def in_foreground(stream: IO[Any] | None) -> bool:
    """Whether this process may draw on the terminal: not as a background job of its shell."""
    try:
        return stream is not None and os.tcgetpgrp(stream.fileno()) in (0, os.getpgrp())
    except (OSError, ValueError, AttributeError):
        return True  # not the controlling terminal: no shell competes for it
