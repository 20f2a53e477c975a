"""Files that hold other files or arrays: zip (`.npz`, torch's `.pt`), gzip, npy, Parquet.

Looked at only so far that a file which was cut off, or holds nothing, is told. Pickles are read
as a list of their opcodes, by which nothing is built and nothing runs.
"""

from __future__ import annotations

import ast
import math
import pickletools
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from .format_check import CHUNK, MAX_UNPACKED, Check, InvalidFile

MAX_OPCODES = 2_000_000
MAX_PICKLE = 16 * 1024 * 1024  # bytes of a pickle whose opcodes are read
_WEIGHTS = re.compile(r"(adapter_model|pytorch_model|model|diffusion_pytorch_model)\b.*", re.I)
_ZIP, _GZIP, _NPY, _PARQUET = b"PK\x03\x04", b"\x1f\x8b", b"\x93NUMPY", b"PAR1"


def check_pickle(stream: BinaryIO, size: int, path: Path) -> None:
    """What torch saves; a file of this suffix and of another kind needs no more than content."""
    weights = bool(_WEIGHTS.fullmatch(path.stem))
    head = stream.read(4)
    stream.seek(0)
    if head == _ZIP:
        sizes = _zipped(stream)
        if weights and not any(n for name, n in sizes.items() if "/data/" in f"/{name}"):
            raise InvalidFile("no tensor in it")
    elif weights and head[:1] == b"\x80" and size <= MAX_PICKLE and not _builds(stream, size):
        raise InvalidFile("a pickle without any tensor in it")


def _builds(stream: BinaryIO, size: int) -> bool:
    """Whether any of the pickles in the file would build an object: a tensor is one."""
    count = 0
    while stream.tell() < size:
        try:
            for opcode, _, _ in pickletools.genops(stream):
                count += 1
                if opcode.name in ("GLOBAL", "STACK_GLOBAL", "INST", "BINPERSID", "PERSID"):
                    return True
                if count > MAX_OPCODES:
                    return True
        except (ValueError, OverflowError, MemoryError, RecursionError, UnicodeError) as error:
            raise InvalidFile(f"a pickle that is cut off or broken: {str(error)[:100]}") from error
    return False


def _zip(stream: BinaryIO, _: int, __: Path) -> None:
    if not _zipped(stream):
        raise InvalidFile("an empty archive")


def _zipped(stream: BinaryIO) -> dict[str, int]:
    """Sizes of what is in a zip by its directory, which stands at the very end of the file."""
    try:
        with zipfile.ZipFile(stream) as archive:
            return {member.filename: member.file_size for member in archive.infolist()}
    except (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error) as error:
        raise InvalidFile(f"an archive that is cut off or broken: {str(error)[:100]}") from error


def _gzip(stream: BinaryIO, _: int, __: Path) -> None:
    for _piece in unpacked(stream):
        pass


def unpacked(stream: BinaryIO) -> Iterator[bytes]:
    """The content of a gzip file of one or more members. Raises InvalidFile."""
    total, inflate = 0, zlib.decompressobj(wbits=31)
    ended = True
    while data := stream.read(CHUNK):
        while data:
            try:
                piece = inflate.decompress(data, CHUNK)
            except zlib.error as error:
                raise InvalidFile(f"not gzip, or broken: {str(error)[:100]}") from error
            total += len(piece)
            if total > MAX_UNPACKED:
                raise InvalidFile(f"over {MAX_UNPACKED} bytes when it is unpacked")
            yield piece
            ended, data = inflate.eof, inflate.unconsumed_tail
            if inflate.eof:
                data = inflate.unused_data.lstrip(b"\0")  # zeros after the end are padding
                inflate = zlib.decompressobj(wbits=31)
    if not ended:
        raise InvalidFile("cut off: the gzip stream does not end")


def _npy(stream: BinaryIO, size: int, _: Path) -> None:
    head = stream.read(12)
    if head[:6] != _NPY or len(head) < 12:
        raise InvalidFile("no array of numpy's")
    wide = head[6] > 1
    length = struct.unpack("<I", head[8:12])[0] if wide else struct.unpack("<H", head[8:10])[0]
    start = (12 if wide else 10) + length
    if length > 2**20 or start > size:
        raise InvalidFile("an array whose header is cut off")
    stream.seek(start - length)
    try:
        header = ast.literal_eval(stream.read(length).decode("latin-1").strip())
        item, count = re.fullmatch(r"[<>|=][biufc](\d{1,2})", header["descr"]), header["shape"]
        wanted = math.prod(count) * int(item[1]) if item else None
    except (ValueError, SyntaxError, KeyError, TypeError, MemoryError, RecursionError) as error:
        raise InvalidFile("an array whose header is not valid") from error
    if wanted is not None and start + wanted != size:
        raise InvalidFile(f"{size} bytes, the header says {start + wanted}: cut off or padded")


def _parquet(stream: BinaryIO, size: int, _: Path) -> None:
    head = stream.read(4)
    stream.seek(max(0, size - 8))
    foot = stream.read(8)
    if head != _PARQUET or foot[4:] != _PARQUET or size < 12:
        raise InvalidFile("no Parquet file, or cut off: PAR1 stands at both its ends")
    (length,) = struct.unpack("<I", foot[:4])
    if length > size - 12:
        raise InvalidFile("a Parquet file whose footer is longer than it is")


CHECKS: dict[str, Check] = {
    ".npz": _zip,
    ".zip": _zip,
    ".gz": _gzip,
    ".npy": _npy,
    ".parquet": _parquet,
}
