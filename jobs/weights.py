"""Checks that weights are complete, finite and not all zero, by reading the files once.

Of each type only the bytes are read that hold the exponent: an infinity or NaN has all of its bits
set. That is done on whole blocks by functions that are written in C, at about a gigabyte in some
seconds, without any library.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from . import shards
from .format_check import InvalidFile
from .safetensors_header import Tensor, tensors_of

BLOCK = 4 * 1024 * 1024  # bytes; of whole values of every type
INDEX = ".safetensors.index.json"
SUFFIX = ".safetensors"
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_SIGNED_TOP = (0x7F, 0xFF)  # of the highest byte, where infinities and NaN can be
_TOP = bytes(one in _SIGNED_TOP for one in range(256))
_ZEROS = bytes(BLOCK)
# Factors of an adapter: where all of one kind are zero, their products are, and it changes nothing.
_FACTOR = re.compile(r"lora_(?:embedding_)?([AB])(?:\.|$)|lora[_.](down|up)(?:\.|$)")
_COUNTERS = ("I64", "BOOL", "U64")  # positions and masks: they are no weights


@dataclass
class Tally:
    """What the tensors of one folder have in them."""

    tensors: int = 0
    bytes: int = 0
    weights: int = 0
    nonzero: int = 0
    factors: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    alive: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def hollow(self) -> str:
        """Why these weights have no effect, judged by zeros; empty when they may have one."""
        if self.weights and not self.nonzero:
            return f"all {self.weights} tensors are zero"
        for kind, names in sorted(self.factors.items()):
            if not self.alive[kind]:
                return f"every {kind} of the adapter is zero ({len(names)} of them, {names[0]})"
        return ""


def check(paths: Iterable[Path]) -> str:
    """Check the files; returns a summary. Raises InvalidFile at the first fault, and OSError."""
    folders: dict[Path, Tally] = defaultdict(Tally)
    for path in paths:
        if path.name.endswith(INDEX):
            shards.check_tensors(path)
        elif path.suffix.lower() == SUFFIX:
            if missing_shards := shards.missing(path):
                raise InvalidFile(missing_shards)
            _read(path, folders[path.parent])
    for folder, tally in folders.items():
        if why := tally.hollow():
            raise InvalidFile(f"{folder.name}: {why}")
    count = sum(tally.tensors for tally in folders.values())
    size = sum(tally.bytes for tally in folders.values())
    dead = sum(
        len(n) - tally.alive[k] for tally in folders.values() for k, n in tally.factors.items()
    )
    more = f"; {dead} of an adapter's factors are zero" if dead else ""
    return f"{count} tensors, {size / 1e6:.1f} MB, finite and not all zero{more}"


def _read(path: Path, tally: Tally) -> None:
    tensors = tensors_of(path)
    with path.open("rb", buffering=0) as stream:
        for tensor in tensors:
            if tensor.size == 0:
                raise InvalidFile(f"{path.name}: tensor {tensor.name[:80]!r} is of size 0")
            stream.seek(tensor.begin)
            zero = _read_tensor(stream.read, tensor, path.name)
            _note(tally, tensor, zero)


def _note(tally: Tally, tensor: Tensor, zero: bool) -> None:
    tally.tensors += 1
    tally.bytes += tensor.size
    if tensor.dtype in _COUNTERS:
        return
    tally.weights += 1
    tally.nonzero += not zero
    factor = _FACTOR.search(tensor.name)
    if factor:
        kind = f"lora_{factor[1] or factor[2]}"
        tally.factors[kind].append(tensor.name[:80])
        tally.alive[kind] += not zero


def _read_tensor(read: Callable[[int], bytes], tensor: Tensor, name: str) -> bool:
    """Whether every value is zero. Raises InvalidFile for NaN, infinity, a file cut meanwhile."""
    left, zero = tensor.size, True
    while left:
        block = _exactly(read, min(left, BLOCK))
        if len(block) < min(left, BLOCK):
            raise InvalidFile(f"{name}: cut off in tensor {tensor.name[:80]!r}")
        if is_odd(tensor.dtype, block):
            raise InvalidFile(f"{name}: tensor {tensor.name[:80]!r} has NaN or infinite values")
        zero = zero and _is_zero(block, tensor.dtype)
        left -= len(block)
    return zero


def is_odd(dtype: str, block: bytes) -> bool:
    """Whether a value of whole ones is NaN or infinite."""
    pattern = _ODD.get(dtype)
    return pattern is not None and pattern(block)


def _exactly(read: Callable[[int], bytes], size: int) -> bytes:
    pieces = []
    while size and (piece := read(size)):
        pieces.append(piece)
        size -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _is_zero(block: bytes, dtype: str) -> bool:
    """No value but 0 and -0."""
    if block == (_ZEROS if len(block) == BLOCK else bytes(len(block))):
        return True
    width = _SIGNED.get(dtype)
    if width is None or block.translate(None, b"\0\x80"):
        return False
    return all(b"\x80" not in block[byte::width] for byte in range(width - 1))


def _bits(flags: bytes) -> int:
    return int.from_bytes(flags, "little")


def _high(width: int, second: int) -> Callable[[bytes], bool]:
    """Of little-endian values of `width` bytes: `second` are the exponent's bits in the last
    but one byte; the top byte has 7 of them."""

    full = bytes(byte & second == second for byte in range(256))

    def odd(block: bytes) -> bool:
        top = block[width - 1 :: width]
        if not any(byte in top for byte in _SIGNED_TOP):
            return False
        below = block[width - 2 :: width]
        return bool(_bits(top.translate(_TOP)) & _bits(below.translate(full)))

    return odd


def _among(width: int, *odd: int) -> Callable[[bytes], bool]:
    """Of values whose top byte alone says it."""

    def found(block: bytes) -> bool:
        top = block[width - 1 :: width]
        return any(byte in top for byte in odd)

    return found


_HALF = (*range(0x7C, 0x80), *range(0xFC, 0x100))
_ODD: dict[str, Callable[[bytes], bool]] = {
    "BF16": _high(2, 0x80),
    "F32": _high(4, 0x80),
    "C64": _high(4, 0x80),
    "F64": _high(8, 0xF0),
    "F16": _among(2, *_HALF),
    "F8_E5M2": _among(1, *_HALF),
    "F8_E4M3": _among(1, 0x7F, 0xFF),
    "F8_E8M0": _among(1, 0xFF),
    "F8_E4M3FNUZ": _among(1, 0x80),
    "F8_E5M2FNUZ": _among(1, 0x80),
}
_SIGNED = {"BF16": 2, "F16": 2, "F32": 4, "C64": 4, "F64": 8, "F8_E4M3": 1, "F8_E5M2": 1}
