"""A pod's two logs, on disk and as API events: one `<unix ns> <line>` per record."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

CONTAINER_LOG = "container.log"
SYSTEM_LOG = "system.log"
SOURCES = {"container": CONTAINER_LOG, "system": SYSTEM_LOG}
_BLOCK = 1 << 20  # bytes read at once


@dataclass(frozen=True, order=True)
class Line:
    nanoseconds: int  # Unix time
    source: str
    text: str

    def event(self) -> bytes:
        """One server-sent event whose id is its timestamp."""
        stamp = timestamp(self.nanoseconds)
        data = json.dumps({"ts": stamp, "source": self.source, "line": self.text})
        return f"id: {stamp}\ndata: {data}\n\n".encode()


def timestamp(nanoseconds: int) -> str:
    """RFC 3339 with nine digits."""
    seconds, fraction = divmod(nanoseconds, 10**9)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{fraction:09d}Z"


def parse_timestamp(text: str) -> int:
    """Unix nanoseconds of an RFC 3339 time; a `/<n>` suffix of a cursor is ignored. ValueError."""
    match = re.fullmatch(r"([^./]+?)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)(?:/\d+)?", text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no RFC 3339 time")
    moment = datetime.fromisoformat(match[1] + match[3].replace("Z", "+00:00"))
    return int(moment.timestamp()) * 10**9 + int((match[2] or "0").ljust(9, "0"))


def write_system(folder: Path, line: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    record = f"{time.time_ns()} {' '.join(line.split())}\n".encode()
    descriptor = os.open(folder / SYSTEM_LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, record)
    finally:
        os.close(descriptor)


class Reader:
    """Reads a pod's logs from the start, each line once, also across rotation."""

    def __init__(self, folder: Path, sources: tuple[str, ...]) -> None:
        self._tails = [_Tail(folder / SOURCES[name], name) for name in sources]

    def fresh(self) -> list[Line]:
        """The lines written since the last call, in order of time."""
        return sorted(line for tail in self._tails for line in tail.read())


class _Tail:
    """Follows one file by identity; a rotated file is read to its end first."""

    def __init__(self, path: Path, source: str) -> None:
        self._path = path
        self._source = source
        self._inode: int | None = None
        self._offset = 0
        self._partial = b""

    def read(self) -> Iterator[Line]:
        rotated = self._path.with_name(self._path.name + ".1")
        for path in (rotated, self._path):
            yield from self._read(path, current=path == self._path)

    def _read(self, path: Path, *, current: bool) -> Iterator[Line]:
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return
        with file:
            inode = os.fstat(file.fileno()).st_ino
            if inode != self._inode:
                if self._inode is not None and not current:
                    return  # rotated before it was opened
                self._inode, self._offset, self._partial = inode, 0, b""
            file.seek(self._offset)
            while block := file.read(_BLOCK):
                self._offset += len(block)
                *records, self._partial = (self._partial + block).split(b"\n")
                for record in records:
                    yield self._line(record)

    def _line(self, record: bytes) -> Line:
        stamp, _, text = record.partition(b" ")
        nanoseconds = int(stamp) if stamp.isdigit() else 0
        return Line(nanoseconds, self._source, text.decode("utf-8", errors="replace"))
