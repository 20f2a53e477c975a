"""The checksum of the storage API: a file's MD5, or the MD5 of its parts' MD5s and their number.

It guards against damage on the way, not against malice; the hashes of a run's files are its
manifest's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

PART = 64 * 1024 * 1024  # bytes of a part; larger files are sent in several
MAX_PARTS = 10_000
BLOCK = 1024 * 1024


def part_size(size: int) -> int:
    """Bytes of each part of a file of `size` bytes, but the last."""
    return max(PART, -(-size // MAX_PARTS))


def file_etag(path: Path) -> str:
    """The checksum of a file that `upload` sent."""
    size = path.stat().st_size
    digests = list(_part_digests(path, part_size(size)))
    if size <= PART:
        return digests[0].hex() if digests else hashlib.md5(b"").hexdigest()  # noqa: S324 - a checksum
    joined = hashlib.md5(b"".join(digests))  # noqa: S324 - a checksum
    return f"{joined.hexdigest()}-{len(digests)}"


def comparable(etag: str, size: int) -> bool:
    """Whether `file_etag` computes this form: other clients choose other parts."""
    digest, _, count = etag.partition("-")
    if len(digest) != 32:
        return False
    expected = -(-size // part_size(size)) if size > PART else None
    return (count == "" and size <= PART) or (expected is not None and count == str(expected))


def _part_digests(path: Path, length: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        while True:
            digest, left = hashlib.md5(), length  # noqa: S324 - a checksum
            while left and (block := file.read(min(BLOCK, left))):
                digest.update(block)
                left -= len(block)
            if left == length:
                return
            yield digest.digest()
            if left:
                return
