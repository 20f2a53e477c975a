"""What leaves this process by other ways than the terminal: prints, log records, core dumps.

Libraries print and log what they like when they are told to (`http.client` its requests with every
header, at a debug level), and Python shows the arguments of an exception. All of it is cleaned
and redacted as podctl's own words are.
"""

from __future__ import annotations

import logging
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

from controller.terminal.sanitize import clean
from state.redaction import PROCESS


class RedactedStream:
    """A text stream that shows nothing unclean and no secret; everything else is the stream's."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError("a text stream")  # asked by whoever looks for a binary one
        self.stream.write(PROCESS(clean(text)))
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


class RedactedRecord(logging.LogRecord):
    """A log record that no handler, whoever installed it, can make say a secret."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        if self.exc_info:  # formatters take this instead of the exception
            self.exc_text = PROCESS(logging.Formatter().formatException(self.exc_info))

    def getMessage(self) -> str:
        return PROCESS(clean(super().getMessage()))


@contextmanager
def redacted_output() -> Iterator[None]:
    """Within, whatever is printed, logged or raised in a thread is shown without secrets."""
    before = sys.stdout, sys.stderr, logging.getLogRecordFactory()
    ours = [None if one is None else cast(TextIO, RedactedStream(one)) for one in before[:2]]
    sys.stdout, sys.stderr = ours
    logging.setLogRecordFactory(RedactedRecord)
    try:
        yield
    finally:
        # Whoever found its stream broken has put another in its place: that one stays.
        if sys.stdout is ours[0]:
            sys.stdout = before[0]
        if sys.stderr is ours[1]:
            sys.stderr = before[1]
        logging.setLogRecordFactory(before[2])


def no_core_dumps() -> None:
    """A crash must not write this process's memory to a disk; children inherit it."""
    with suppress(OSError, ValueError):  # a lower limit is in force already
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
