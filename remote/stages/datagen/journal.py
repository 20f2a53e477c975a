"""Stores every generated response at once, so that an interrupted run can resume.

A JSONL file: first a record of the settings, then one record a response. It only grows; a last
line that was cut off is dropped when it is opened again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..common.failure import StageError
from ..common.jsonl import read_records
from ..model.stop_reasons import CUT_OFF, DELIMITED, ENDED

_REMEDY = "remove the line: what it held is generated again"


@dataclass(frozen=True)
class Entry:
    """The response of one attempt (from 0) at an instruction. `margin` is the critic's."""

    instruction: str
    attempt: int
    seed: int  # that drew the prompt
    prompt: str
    response: str
    finished: str
    tokens: int
    seconds: float  # this response's share of its batch
    margin: float | None = None

    @property
    def key(self) -> tuple[str, int]:
        return self.instruction, self.attempt


class Journal:
    """The responses generated so far with `settings`; a file of other settings is renamed."""

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self.path = path
        self.entries: dict[tuple[str, int], Entry] = {}
        self.aside: Path | None = None
        self._settings = {"settings": dict(settings)}
        path.parent.mkdir(parents=True, exist_ok=True)
        _drop_torn_line(path)
        if path.is_file() and path.stat().st_size and not self._read():
            self.aside = path.with_name(f"{path.stem}.earlier{path.suffix}")
            os.replace(path, self.aside)
        if not path.is_file() or not path.stat().st_size:
            self._write([self._settings])

    def add(self, entries: Sequence[Entry]) -> None:
        """Appends the entries that are new; they are on disk when this returns."""
        new = [entry for entry in entries if entry.key not in self.entries]
        self._write(asdict(entry) for entry in new)
        self.entries |= {entry.key: entry for entry in new}

    @property
    def seconds(self) -> float:
        """The seconds spent on generation so far, those of earlier starts included."""
        return sum(entry.seconds for entry in self.entries.values())

    def _write(self, records: Iterable[Mapping[str, Any]]) -> None:
        text = "".join(json.dumps(record, allow_nan=False) + "\n" for record in records)
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            with os.fdopen(handle, "wb", closefd=False) as stream:
                stream.write(text.encode())
            os.fsync(handle)
        finally:
            os.close(handle)

    def _read(self) -> bool:
        """Fills `entries`; returns False for a file of other settings."""
        records = read_records(self.path, "remove the file")
        _, first = next(records)
        if first != self._settings:
            return False
        self.entries = {
            entry.key: entry for entry in (_entry(rec, where) for where, rec in records)
        }
        return True


def _entry(record: Mapping[str, Any], where: str) -> Entry:
    try:
        entry = Entry(**record)
    except TypeError as error:
        raise StageError(f"{where}: not the record of a response", remedy=_REMEDY) from error
    right = (
        all(isinstance(count, str) for count in (entry.instruction, entry.prompt, entry.response))
        and entry.finished in (DELIMITED, ENDED, CUT_OFF)
        and all(
            type(count) is int and count >= 0 for count in (entry.attempt, entry.tokens, entry.seed)
        )
        and _number(entry.seconds)
        and (entry.margin is None or _number(entry.margin))
    )
    if not right:
        raise StageError(
            f"{where}: instruction, attempt, seed, prompt, response, finished, tokens, seconds or "
            "margin is not what it must be",
            remedy=_REMEDY,
        )
    return entry


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12


def _drop_torn_line(path: Path) -> None:
    """Removes a last line without its line break, which a crash left."""
    if not path.is_file():
        return
    with path.open("r+b") as stream:
        data = stream.read()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            stream.truncate(whole)
            stream.flush()
            os.fsync(stream.fileno())
