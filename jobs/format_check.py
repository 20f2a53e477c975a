"""Shared by the file format checks: limits, the error, and the JSON parser."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

MAX_UNPACKED = 16 * 1024**3  # bytes that one compressed file is unpacked to
CHUNK = 1024 * 1024
Check = Callable[[BinaryIO, int, Path], None]

MAX_JSON = 256 * 1024 * 1024  # bytes of one JSON document


class InvalidFile(ValueError):
    """The file is not what its name says; the text says why."""


def parse_json(raw: bytes) -> Any:
    """One JSON document as Python writes them; `InvalidFile` for anything else."""
    try:
        return json.loads(raw, object_pairs_hook=_unique)
    except InvalidFile:
        raise
    except (ValueError, RecursionError) as error:
        raise InvalidFile(f"not JSON: {str(error)[:200]}") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise InvalidFile("an object has the same key twice")
    return members
