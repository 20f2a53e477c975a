"""TensorBoard event files, byte for byte as their format has them."""

from __future__ import annotations

import struct

from remote.supervisor.tensorboard import masked_checksum


def record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    sums = [struct.pack("<I", masked_checksum(part)) for part in (length, data)]
    return length + sums[0] + data + sums[1]


def varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*encoded, number])


def nested(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


def event(step: int, *values: bytes) -> bytes:
    summary = b"".join(nested(1, value) for value in values)
    return b"\x09" + struct.pack("<d", 1.0) + b"\x10" + varint(step) + nested(5, summary)


def simple(tag: str, value: float) -> bytes:
    return nested(1, tag.encode()) + b"\x15" + struct.pack("<f", value)


def scalar(tag: str, step: int, value: float) -> bytes:
    return event(step, simple(tag, value))


def event_file(*scalars: tuple[str, int, float]) -> bytes:
    return record(b"\x1a\x0dbrain.Event:2") + b"".join(
        record(scalar(*fields)) for fields in scalars
    )
