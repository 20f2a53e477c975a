"""Redaction of output that does not go through `Terminal`: prints, log records, core dumps.

Libraries may print and log secrets (`http.client` prints requests with all headers at a debug
level), and Python shows the arguments of an exception. This output is cleaned and redacted too.
"""

from __future__ import annotations

import logging
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

from controller.terminal.sanitize import clean
from state.redaction import PROCESS_REDACTOR


class RedactedStream:
    """A text stream that cleans and redacts what is written; else it behaves like `stream`."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError("a text stream")  # callers probe so for a binary stream
        self.stream.write(PROCESS_REDACTOR(clean(text)))
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


class RedactedRecord(logging.LogRecord):
    """A log record whose message and traceback are redacted for every handler."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        if self.exc_info:  # formatters take this instead of the exception
            self.exc_text = PROCESS_REDACTOR(logging.Formatter().formatException(self.exc_info))

    def getMessage(self) -> str:
        return PROCESS_REDACTOR(clean(super().getMessage()))


@contextmanager
def redacted_output() -> Iterator[None]:
    """Within the block, prints, log records and thread tracebacks are redacted."""
    before = sys.stdout, sys.stderr, logging.getLogRecordFactory()
    ours = [None if s is None else cast(TextIO, RedactedStream(s)) for s in before[:2]]
    sys.stdout, sys.stderr = ours
    logging.setLogRecordFactory(RedactedRecord)
    try:
        yield
    finally:
        # A stream that was replaced meanwhile because it was broken stays.
        if sys.stdout is ours[0]:
            sys.stdout = before[0]
        if sys.stderr is ours[1]:
            sys.stderr = before[1]
        logging.setLogRecordFactory(before[2])


def no_core_dumps() -> None:
    """Disable core dumps, which would write secrets to disk; children inherit this."""
    with suppress(OSError, ValueError):  # a lower limit is in force already
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
