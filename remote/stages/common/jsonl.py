"""Reads JSONL strictly; every error names file, line and remedy."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .failure import StageError

MAX_LINE = 4 * 1024 * 1024  # bytes of one record


def read_records(path: Path, remedy: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """("<file>, line <n>", object) of each line that is not blank.

    Raises: StageError for a missing file or one without a record (with `remedy`), for a line that
    is too long, not JSON, or not an object.
    """
    if not path.is_file():
        raise StageError(f"{path}: no such file", remedy=remedy)
    empty = True
    with path.open("rb") as stream:
        for number, raw in enumerate(stream, 1):
            if raw.strip():
                empty = False
                where = f"{path}, line {number}"
                yield where, parsed(raw, where)
    if empty:
        raise StageError(f"{path}: no record in it", remedy=remedy)


def line_of(where: str) -> int:
    """The number in "<file>, line <n>"."""
    return int(where.rpartition(" ")[2])


def parsed(raw: bytes, where: str) -> dict[str, Any]:
    """The object on one line. Raises: StageError if it is too long, not JSON or no object."""
    if len(raw) > MAX_LINE:
        raise StageError(f"{where}: over {MAX_LINE} bytes", remedy="shorten or remove the record")
    try:
        value = json.loads(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise StageError(
            f"{where}: not JSON: {error}", remedy="correct or remove the line; one object a line"
        ) from error
    if not isinstance(value, dict):
        raise StageError(f"{where}: not an object", remedy="one JSON object a line")
    return value


def text_of(record: Mapping[str, Any], name: str, where: str, *, empty: bool = False) -> str:
    """The text at `name`. Raises: StageError where it is missing, not a text, or blank."""
    value = record.get(name)
    if not isinstance(value, str) or not (empty or value.strip()):
        problem = "is missing" if value is None else "must be text with something in it"
        raise StageError(f"{where}: {name} {problem}", remedy=f'give each record a text "{name}"')
    if any("\ud800" <= letter <= "\udfff" for letter in value):
        raise StageError(f"{where}: {name} holds half a character", remedy="write it as UTF-8")
    return value
