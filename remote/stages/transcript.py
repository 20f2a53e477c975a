"""Every answer of the evaluation on disk as soon as it is there, so that a new start goes on.

Answers come in chunks, each named by everything that decides it: model, adapter, decoding, seed
and prompts. A chunk that is whole is never generated again; half a chunk is.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from .scoring import Record


@dataclass(frozen=True)
class Chunk:
    """Prompts that are answered in one go. `adapter` is its sha256, "" for the bare base."""

    model: str
    system: str
    adapter: str
    temperature: float
    sample: int
    seed: int
    max_new_tokens: int
    prompts: tuple[str, ...]

    @property
    def id(self) -> str:
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


class Transcript:
    """The JSONL file of all answers; each record names its chunk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._found: dict[str, list[Record]] = {}

    def open(self, wanted: Sequence[Chunk]) -> int:
        """Keep the whole chunks that are wanted, drop the rest; how many were kept."""
        sizes = {chunk.id: len(chunk.prompts) for chunk in wanted}
        for record in _readable(self.path):
            if record.get("chunk") in sizes:
                self._found.setdefault(record["chunk"], []).append(record)
        self._found = {one: rows for one, rows in self._found.items() if len(rows) == sizes[one]}
        self._rewrite()
        return len(self._found)

    def get(self, chunk: Chunk) -> list[Record] | None:
        return self._found.get(chunk.id)

    def add(self, chunk: Chunk, records: Iterable[Record]) -> list[Record]:
        """Keep the answers of one chunk; they are on disk when this returns."""
        rows = [record | {"chunk": chunk.id} for record in records]
        with self.path.open("a", encoding="utf-8") as stream:
            stream.writelines(_line(row) for row in rows)
            stream.flush()
            os.fsync(stream.fileno())
        self._found[chunk.id] = rows
        return rows

    def _rewrite(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        beside = self.path.with_name(f".{self.path.name}.new")
        with beside.open("w", encoding="utf-8") as stream:
            stream.writelines(_line(row) for rows in self._found.values() for row in rows)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(beside, self.path)


def _line(record: Record) -> str:
    return json.dumps(record, allow_nan=False) + "\n"


def _readable(path: Path) -> Iterable[Record]:
    """The records of a file that may have been cut off anywhere."""
    if not path.is_file():
        return
    for line in path.read_bytes().splitlines():
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict) and isinstance(record.get("chunk"), str):
            yield record
