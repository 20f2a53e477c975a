"""A container's output on disk: `<unix ns> <line>`, bounded."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

_MAX_LINE = 16 * 1024  # bytes; longer lines are split
_MAX_FILE = 16 * 1024 * 1024  # bytes; then the file is rotated to `<name>.1`


class ContainerLog:
    """Appends complete lines, each in one write, so that readers never see a partial line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._partial = b""
        self._open()

    def _open(self) -> None:
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._size = os.fstat(self._file).st_size

    def write(self, data: bytes) -> None:
        """Buffer output; a line is written when it ends or grows too long."""
        *lines, self._partial = (self._partial + data).split(b"\n")
        while len(self._partial) > _MAX_LINE:
            lines.append(self._partial[:_MAX_LINE])
            self._partial = self._partial[_MAX_LINE:]
        self._append(lines)

    def close(self) -> None:
        """Write a last line without newline, and close."""
        self._append([self._partial] if self._partial else [])
        os.close(self._file)

    def _append(self, lines: list[bytes]) -> None:
        cut = [line[i : i + _MAX_LINE] for line in lines for i in _starts(line)]
        if not cut:
            return
        if self._size > _MAX_FILE:
            self._rotate()
        text = b"".join(b"%d %s\n" % (time.time_ns(), line) for line in cut)
        # A full disk loses output; it must not end the pod.
        with contextlib.suppress(OSError):
            self._size += os.write(self._file, text)

    def _rotate(self) -> None:
        os.close(self._file)
        os.replace(self._path, self._path.with_name(self._path.name + ".1"))
        self._open()


def _starts(line: bytes) -> range:
    return range(0, max(len(line), 1), _MAX_LINE)
