"""The header of a safetensors file: which tensors there are, and where their bytes lie.

Format: 8 bytes length, so many bytes of JSON, then the tensors without a gap.
"""

from __future__ import annotations

import math
import os
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from .format_check import InvalidFile, parse_json

MAX_HEADER = 100 * 1024 * 1024  # bytes; the format's own cap
BITS = {
    **dict.fromkeys(("F4",), 4),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0"), 8),
    **dict.fromkeys(("F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 16),
    **dict.fromkeys(("I32", "U32", "F32"), 32),
    **dict.fromkeys(("I64", "U64", "F64", "C64"), 64),
}
_LATER = re.compile(r"[A-Z][A-Z0-9]{1,15}(_[A-Z0-9]{1,15})*")  # a dtype that is not known here


@dataclass(frozen=True)
class Tensor:
    name: str
    dtype: str
    size: int  # bytes
    begin: int  # in the file


def check(stream: BinaryIO, size: int) -> None:
    """Raises InvalidFile: a header that does not fit the file, or a tensor without a value."""
    for tensor in read(stream, size):
        if tensor.size == 0:
            raise InvalidFile(f"tensor {tensor.name[:80]!r} is of size 0")


def tensors_of(path: Path) -> tuple[Tensor, ...]:
    """Raises InvalidFile, OSError."""
    with path.open("rb") as stream:
        return read(stream, os.fstat(stream.fileno()).st_size)


def read(stream: BinaryIO, size: int) -> tuple[Tensor, ...]:
    """Every tensor in the order of the file. Raises InvalidFile when they do not fill it."""
    prefix = stream.read(8)
    if len(prefix) < 8:
        raise InvalidFile(f"{size} bytes: too short for a safetensors header")
    (length,) = struct.unpack("<Q", prefix)
    if length > MAX_HEADER or length > size - 8:
        raise InvalidFile(f"header of {length} bytes in a file of {size}")
    header = parse_json(stream.read(length))
    if not isinstance(header, dict):
        raise InvalidFile("the safetensors header is no object")
    tensors = [
        _tensor(name, definition, 8 + length)
        for name, definition in header.items()
        if name != _METADATA
    ]
    if not tensors:
        raise InvalidFile("no tensor in it")
    end = 8 + length
    for tensor in sorted(tensors, key=lambda tensor: (tensor.begin, tensor.size)):
        if tensor.begin != end:
            at, wanted = tensor.begin - 8 - length, end - 8 - length
            raise InvalidFile(f"tensor {tensor.name[:80]!r} begins at {at}, not at {wanted}")
        end += tensor.size
    if end != size:
        raise InvalidFile(f"{size} bytes, the header says {end}: cut off or padded")
    return tuple(sorted(tensors, key=lambda tensor: tensor.begin))


_METADATA = "__metadata__"


def _tensor(name: str, entry: Any, start: int) -> Tensor:
    where = f"tensor {name[:80]!r}"
    if not isinstance(entry, dict):
        raise InvalidFile(f"{where}: no object")
    dtype = entry.get("dtype")
    shape, offsets = _sizes(entry.get("shape"), 64), _sizes(entry.get("data_offsets"), 2)
    known = isinstance(dtype, str) and _LATER.fullmatch(dtype)
    if not known or shape is None or offsets is None or len(offsets) != 2:
        raise InvalidFile(f"{where}: dtype, shape or data_offsets missing or wrong")
    begin, end = offsets
    bits = BITS.get(str(dtype))
    wrong = bits is not None and (end - begin) * 8 != math.prod(shape) * bits
    if end < begin or wrong:
        raise InvalidFile(f"{where}: {end - begin} bytes do not hold {dtype} {shape}")
    return Tensor(name, str(dtype), end - begin, start + begin)


def _sizes(value: Any, most: int) -> list[int] | None:
    """`value` when it is a list of at most `most` integers from 0 to 2^60."""
    if not isinstance(value, list) or len(value) > most:
        return None
    return value if all(type(number) is int and 0 <= number <= 2**60 for number in value) else None
