"""Checks whether a file opens, by its suffix, read as data; nothing is ever unpickled.

A checkpoint cut in the middle has the right name and the wrong length: the safetensors header
says exactly how long the file must be, so that is what is checked. JSON is what Python's json
writes: NaN and infinities are in it, and one document a line also where the suffix is `.json`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from .format_check import MAX_JSON, Check, InvalidFile, parse_json

MAX_LINE = 16 * 1024 * 1024  # bytes of one JSONL record
JSON_LINES = (".jsonl", ".ndjson")


def opens(path: Path) -> str | None:
    """Why `path` does not open, or None when it does; by its suffix, other files need content."""
    try:
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if size == 0:
                return "empty file"
            if check := check_of(path):
                check(stream, size, path)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    except InvalidFile as error:
        return str(error)
    return None


def check_of(path: Path) -> Check | None:
    """What can be looked at in a file of this name; None: nothing but that it is not empty."""
    from . import containers, shards

    suffix, name = path.suffix.lower(), path.name.lower()
    if name.endswith(".safetensors.index.json") or name.endswith(".bin.index.json"):
        return shards.check_index
    if suffix == ".safetensors":
        return _weights
    if suffix in (".bin", ".pt", ".pth", ".ckpt"):
        return _pickle
    if suffix == ".json":
        return _json
    if suffix in JSON_LINES:
        return _json_lines
    return containers.CHECKS.get(suffix)


def _weights(stream: BinaryIO, size: int, path: Path) -> None:
    from . import safetensors_header as tensors
    from . import shards

    tensors.check(stream, size)
    if missing_shards := shards.missing(path):
        raise InvalidFile(missing_shards)


def _pickle(stream: BinaryIO, size: int, path: Path) -> None:
    from . import containers, shards

    containers.check_pickle(stream, size, path)
    if missing_shards := shards.missing(path):
        raise InvalidFile(missing_shards)


def parse_documents(raw: bytes) -> Any:
    """A `.json` file: one document, or one a line, which make a list."""
    try:
        return parse_json(raw)
    except InvalidFile:
        lines = [line for line in raw.splitlines() if line.strip()]
        if len(lines) < 2 or not re.match(rb"\s*[\[{]", lines[0]):
            raise
        try:
            first = parse_json(lines[0])
        except InvalidFile:
            first = None
        if first is None:  # a document over several lines, and broken
            raise
    return [first, *(_record(line, number) for number, line in enumerate(lines[1:], 2))]


def _json(stream: BinaryIO, size: int, _: Path) -> None:
    if size > MAX_JSON:
        first = stream.readline(MAX_LINE)
        stream.seek(0)
        if not first.endswith(b"\n") or not first.strip().endswith((b"}", b"]")):
            raise InvalidFile(f"{size} bytes of JSON is over the cap of {MAX_JSON}")
        _count(stream)
        return
    parse_documents(stream.read(size))


def _json_lines(stream: BinaryIO, _: int, __: Path) -> None:
    if _count(stream) == 0:
        raise InvalidFile("no record")


def _count(stream: BinaryIO) -> int:
    return sum(1 for _ in json_lines(stream))


def json_lines(stream: BinaryIO) -> Iterator[tuple[int, Any]]:
    """(line number, value) of each record. Raises InvalidFile."""
    number = 0
    while line := stream.readline(MAX_LINE + 1):
        number += 1
        if len(line) > MAX_LINE:
            raise InvalidFile(f"line {number}: over {MAX_LINE} bytes")
        if not line.strip():
            continue
        try:
            yield number, _record(line, number)
        except InvalidFile as error:
            if line.endswith(b"\n"):
                raise
            text = f"{error} (the file ends without a line break: cut off?)"
            raise InvalidFile(text) from error


def _record(line: bytes, number: int) -> Any:
    try:
        return parse_json(line)
    except InvalidFile as error:
        raise InvalidFile(f"line {number}: {error}") from error
