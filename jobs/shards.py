"""Weights in several files: an index names them, or each is numbered `…-00001-of-00003`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, BinaryIO

from .format_check import MAX_JSON, InvalidFile, parse_json
from .safetensors_header import tensors_of

_NUMBERED = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<total>\d{5})(?P<suffix>\.\w+)")
MAX_SHARDS = 10_000


def check_index(stream: BinaryIO, size: int, path: Path) -> None:
    """Every shard that an index names lies beside it. Raises InvalidFile."""
    for shard in sorted(set(_weight_map(stream, size).values())):
        _beside(path, shard)


def check_tensors(path: Path) -> None:
    """Each tensor is in the safetensors file that the index names for it.

    Raises InvalidFile, OSError.
    """
    with path.open("rb") as stream:
        named = _weight_map(stream, path.stat().st_size)
    tensors_in: dict[str, set[str]] = {}
    for tensor, shard in named.items():
        if shard not in tensors_in:
            file = _beside(path, shard)
            tensors_in[shard] = {tensor.name for tensor in tensors_of(file)}
        if tensor not in tensors_in[shard]:
            raise InvalidFile(f"tensor {tensor[:80]!r} is not in {shard}")


def _weight_map(stream: BinaryIO, size: int) -> dict[str, str]:
    if size > MAX_JSON:
        raise InvalidFile(f"{size} bytes of JSON is over the cap of {MAX_JSON}")
    document: Any = parse_json(stream.read(size))
    named = document.get("weight_map") if isinstance(document, dict) else None
    if not isinstance(named, dict) or not named:
        raise InvalidFile("an index without a weight_map")
    if not all(isinstance(shard, str) and shard for shard in named.values()):
        raise InvalidFile("an index whose weight_map names no files")
    if len(set(named.values())) > MAX_SHARDS:
        raise InvalidFile(f"an index of over {MAX_SHARDS} files")
    return named


def _beside(index: Path, shard: str) -> Path:
    parts = Path(shard).parts
    if shard.startswith("/") or ".." in parts:
        raise InvalidFile(f"the index names {shard[:80]!r}, which is not beside it")
    folders = [index.parent.joinpath(*parts[: n + 1]) for n in range(len(parts))]
    if any(folder.is_symlink() for folder in folders) or not folders[-1].is_file():
        raise InvalidFile(f"the index names {shard[:80]}, which is not there")
    return folders[-1]


def missing(path: Path) -> str:
    """Which of the numbered files that `path` is one of are not beside it; empty: none lacks."""
    match = _NUMBERED.fullmatch(path.name)
    if match is None:
        return ""
    total = int(match["total"])
    numbers = set()
    for other in path.parent.iterdir():
        same = _NUMBERED.fullmatch(other.name)
        if same and all(same[name] == match[name] for name in ("stem", "total", "suffix")):
            numbers.add(int(same["number"]))
    if len(numbers) >= total:
        return ""
    first = 0 if 0 in numbers else 1
    absent = [n for n in range(first, first + total) if n not in numbers][:3]
    return "there is no " + ", ".join(
        f"{match['stem']}-{n:05}-of-{match['total']}{match['suffix']}" for n in absent
    )
