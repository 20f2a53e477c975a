"""Does a file open? Safetensors headers, JSON and JSONL, read as data; nothing is ever unpickled.

A checkpoint cut in the middle has the right name and the wrong length: the safetensors header
says exactly how long the file must be, so that is what is checked.
"""

from __future__ import annotations

import json
import math
import os
import struct
from pathlib import Path
from typing import Any, BinaryIO

MAX_HEADER = 100 * 1024 * 1024  # bytes; the format's own cap
MAX_JSON = 256 * 1024 * 1024  # bytes of one JSON document
MAX_LINE = 16 * 1024 * 1024  # bytes of one JSONL record

_BITS = {
    **dict.fromkeys(("F4",), 4),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0"), 8),
    **dict.fromkeys(("F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 16),
    **dict.fromkeys(("I32", "U32", "F32"), 32),
    **dict.fromkeys(("I64", "U64", "F64", "C64"), 64),
}


class Unopenable(ValueError):
    """The file is not what its name says; the text says why."""


def opens(path: Path) -> str | None:
    """Why `path` does not open, or None when it does; by its suffix, other files need content."""
    try:
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if size == 0:
                return "empty file"
            _CHECKS.get(path.suffix.lower(), _anything)(stream, size)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    except Unopenable as error:
        return str(error)
    return None


def parse_json(raw: bytes) -> Any:
    """One strict JSON document; `Unopenable` for anything else, NaN and infinities included."""
    try:
        return json.loads(raw, parse_constant=_refuse_constant, object_pairs_hook=_unique)
    except Unopenable:
        raise
    except (ValueError, RecursionError) as error:
        raise Unopenable(f"not JSON: {str(error)[:200]}") from error


def _refuse_constant(name: str) -> float:
    raise Unopenable(f"{name} is not a JSON number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Unopenable("an object has the same key twice")
    return found


def _anything(stream: BinaryIO, size: int) -> None:
    """Other suffixes: not empty is all that can be said."""


def _json(stream: BinaryIO, size: int) -> None:
    if size > MAX_JSON:
        raise Unopenable(f"{size} bytes of JSON is over the cap of {MAX_JSON}")
    parse_json(stream.read(size))


def _jsonl(stream: BinaryIO, size: int) -> None:
    del size
    number = 0
    while line := stream.readline(MAX_LINE + 1):
        number += 1
        if len(line) > MAX_LINE:
            raise Unopenable(f"line {number}: over {MAX_LINE} bytes")
        if not line.endswith(b"\n"):
            _last_line(line, number)
        elif line.strip():
            _record(line, number)
    if number == 0:
        raise Unopenable("no record")


def _last_line(line: bytes, number: int) -> None:
    """A last line without its line break is whole only if it parses."""
    try:
        _record(line, number)
    except Unopenable as error:
        raise Unopenable(f"{error} (the file ends without a line break: cut off?)") from error


def _record(line: bytes, number: int) -> None:
    try:
        value = parse_json(line)
    except Unopenable as error:
        raise Unopenable(f"line {number}: {error}") from error
    if not isinstance(value, dict):
        raise Unopenable(f"line {number}: not a JSON object")


def _safetensors(stream: BinaryIO, size: int) -> None:
    prefix = stream.read(8)
    if len(prefix) < 8:
        raise Unopenable(f"{size} bytes: too short for a safetensors header")
    (length,) = struct.unpack("<Q", prefix)
    if length > MAX_HEADER or length > size - 8:
        raise Unopenable(f"header of {length} bytes in a file of {size}")
    header = parse_json(stream.read(length))
    if not isinstance(header, dict):
        raise Unopenable("the safetensors header is no object")
    end = 0
    for name, begin, stop in sorted(_tensors(header), key=lambda one: one[1:]):
        if begin != end:
            raise Unopenable(f"tensor {name[:80]!r} begins at {begin}, not at {end}")
        end = stop
    if 8 + length + end != size:
        raise Unopenable(f"{size} bytes, the header says {8 + length + end}: cut off or padded")


def _tensors(header: dict[str, Any]) -> list[tuple[str, int, int]]:
    """(name, begin, end) of every tensor, each consistent with its type and shape."""
    found = [_tensor(name, entry) for name, entry in header.items() if name != "__metadata__"]
    if not found:
        raise Unopenable("no tensor in it")
    return found


def _tensor(name: str, entry: Any) -> tuple[str, int, int]:
    where = f"tensor {name[:80]!r}"
    if not isinstance(entry, dict):
        raise Unopenable(f"{where}: no object")
    bits = _BITS.get(str(entry.get("dtype")))
    shape, offsets = _sizes(entry.get("shape"), 64), _sizes(entry.get("data_offsets"), 2)
    if bits is None or shape is None or offsets is None or len(offsets) != 2:
        raise Unopenable(f"{where}: dtype, shape or data_offsets missing or wrong")
    begin, end = offsets
    if end < begin or (end - begin) * 8 != math.prod(shape) * bits:
        raise Unopenable(f"{where}: {end - begin} bytes do not hold {entry['dtype']} {shape}")
    return name, begin, end


def _sizes(value: Any, most: int) -> list[int] | None:
    """`value` when it is a list of at most `most` integers from 0 to 2^60."""
    if not isinstance(value, list) or len(value) > most:
        return None
    return value if all(type(one) is int and 0 <= one <= 2**60 for one in value) else None


_CHECKS = {".json": _json, ".jsonl": _jsonl, ".safetensors": _safetensors}
