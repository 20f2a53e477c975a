"""A JSONL file that is appended to, and that survives a crash at any byte."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

Record = dict[str, Any]


class ResumableRecords:
    """The finished part of a piece of work, for resuming it.

    `settings` is a fingerprint of the work. Records of other settings are ignored by `read` and
    dropped by `finish`, so that responses of other parameters are never mixed in.
    """

    def __init__(self, path: Path, settings: str) -> None:
        self.path, self.settings = path, settings
        self._part = path.with_name(f".{path.name}.part")

    def read(self) -> list[Record]:
        """The records of these settings, the finished file's first; torn lines are ignored."""
        both = (self.path, self._part)
        raw = (line for path in both if path.is_file() for line in path.read_bytes().splitlines())
        records = (_record(line) for line in raw)
        return [record for record in records if record and record.get("settings") == self.settings]

    def append(self, records: Iterable[Record]) -> None:
        """Appends `records`; they are on disk when this returns."""
        self._part.parent.mkdir(parents=True, exist_ok=True)
        whole = not self._part.is_file() or self._part.read_bytes()[-1:] in (b"", b"\n")
        lines = [
            json.dumps(record | {"settings": self.settings}, allow_nan=False) for record in records
        ]
        with self._part.open("a", encoding="utf-8") as stream:
            stream.write("".join(f"{line}\n" for line in ([] if whole else [""]) + lines))
            stream.flush()
            os.fsync(stream.fileno())

    def finish(self, records: Sequence[Record]) -> None:
        """Writes `records` to the final file, in this order, and removes the appended part."""
        lines = (
            json.dumps(record | {"settings": self.settings}, allow_nan=False) for record in records
        )
        write_atomically(self.path, "".join(f"{line}\n" for line in lines))
        self._part.unlink(missing_ok=True)


def _record(line: bytes) -> Record | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def write_atomically(path: Path, text: str) -> None:
    """Writes `text` to a file beside `path`, syncs it, and renames it to `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    with beside.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    beside.replace(path)
