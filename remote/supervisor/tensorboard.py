"""Scalars of a TensorBoard event file, whatever wrote it, and whatever else the file may be.

A file is a row of records: length (8 bytes), its checksum (4), that many bytes, their checksum (4).
A record is a protocol buffer `Event` with a step and a summary of tagged values. What is cut off,
garbled or made to confuse ends the reading of that record or of the file, and raises nothing.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

HEADER, FOOTER = 12, 4  # bytes around a record
MAX_RECORD = 64 * 1024  # bytes: scalars are far smaller; pictures and graphs are passed over
MAX_RECORDS = 5_000  # of one look
MAX_TAG = 200  # bytes
MAX_VALUES = 1_000  # of one record
MAX_STEP = 10**12

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # kinds of a field on the wire
EVENT_STEP, EVENT_SUMMARY, SUMMARY_VALUE = 2, 5, 1
VALUE_TAG, VALUE_SIMPLE, VALUE_TENSOR = 1, 2, 8
TENSOR_TYPE, TENSOR_CONTENT, TENSOR_FLOATS, TENSOR_DOUBLES = 1, 4, 5, 6
TYPE_FLOAT, TYPE_DOUBLE = 1, 2


class Scalar(NamedTuple):
    tag: str
    step: int
    value: float


def read(file: BinaryIO, offset: int) -> tuple[list[Scalar], int]:
    """Scalars from `offset` on, and the offset of the first record that is not whole yet.

    Where no record can begin the rest of the file is given up: the offset is its end. Raises
    OSError.
    """
    scalars: list[Scalar] = []
    end = file.seek(0, 2)
    for _ in range(MAX_RECORDS):
        file.seek(offset)
        header = file.read(HEADER)
        if len(header) < HEADER:
            break
        (length,) = struct.unpack("<Q", header[:8])
        if masked_checksum(header[:8]) != struct.unpack("<I", header[8:])[0]:
            return scalars, end
        if offset + HEADER + length + FOOTER > end:
            break
        if length <= MAX_RECORD:
            scalars += event(file.read(length))
        offset += HEADER + length + FOOTER
    return scalars, offset


def event(data: bytes) -> list[Scalar]:
    """The scalars of one record."""
    step, values = 0, []
    for number, kind, value in _fields(data):
        if (number, kind) == (EVENT_STEP, VARINT) and isinstance(value, int):
            step = value
        elif (number, kind) == (EVENT_SUMMARY, BYTES) and isinstance(value, bytes):
            values += [value for n, k, value in _fields(value) if (n, k) == (SUMMARY_VALUE, BYTES)]
    if step > MAX_STEP:  # a negative one has its highest bit set
        return []
    pairs = (_value(value) for value in values[:MAX_VALUES] if isinstance(value, bytes))
    return [Scalar(tag, step, number) for tag, number in filter(None, pairs)]


def _value(data: bytes) -> tuple[str, float] | None:
    """One tagged number; None for a picture, a histogram, a text, or no finite number."""
    tag, scalar = "", None
    for number, kind, value in _fields(data):
        if (number, kind) == (VALUE_TAG, BYTES) and isinstance(value, bytes):
            tag = value[:MAX_TAG].decode(errors="replace")
        elif (number, kind) == (VALUE_SIMPLE, FIXED32) and isinstance(value, bytes):
            scalar = struct.unpack("<f", value)[0]
        elif (number, kind) == (VALUE_TENSOR, BYTES) and isinstance(value, bytes):
            scalar = _tensor(value)
    return (tag, scalar) if tag and scalar is not None and math.isfinite(scalar) else None


def _tensor(data: bytes) -> float | None:
    """The number of a tensor that holds one, as TensorFlow 2 writes scalars."""
    layout, content = {TYPE_FLOAT: "<f", TYPE_DOUBLE: "<d"}, b""
    chosen = None
    for number, kind, value in _fields(data):
        if (number, kind) == (TENSOR_TYPE, VARINT) and isinstance(value, int):
            chosen = layout.get(value)
        elif number in (TENSOR_CONTENT, TENSOR_FLOATS, TENSOR_DOUBLES) and kind != VARINT:
            content = value if isinstance(value, bytes) else b""
    if chosen is None or len(content) != struct.calcsize(chosen):
        return None
    number_found: float = struct.unpack(chosen, content)[0]
    return number_found


def _fields(data: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """Number, kind and content of each field, as far as they make sense."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        if key is None:
            return
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, at = _varint(data, at)
            if value is None:
                return
            yield number, kind, value
            continue
        if kind == BYTES:
            length, at = _varint(data, at)
        else:
            length = {FIXED64: 8, FIXED32: 4}.get(kind)
        if length is None or at + length > len(data):
            return
        yield number, kind, data[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int | None, int]:
    """A number of up to ten bytes, and where the next one begins; None where there is none."""
    number = 0
    for index, byte in enumerate(data[at : at + 10]):
        number |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return number, at + index + 1
    return None, len(data)


def masked_checksum(data: bytes) -> int:
    """CRC-32C, masked as the format wants it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _table() -> list[int]:
    rows = []
    for number in range(256):
        for _ in range(8):
            number = (number >> 1) ^ (0x82F63B78 if number & 1 else 0)
        rows.append(number)
    return rows


_TABLE = _table()
