"""A copy of a base model in NF4, on the pod's volume: made once, loaded by every later stage.

Quantizing reads the whole model as published (65 GB at 32B); the copy is 18 GB and holds the same
values. It is written beside and renamed when whole. Its document names the base's files, the
versions and the settings it was made with: where any of them differs it is another copy. Each file
is hashed before it is loaded, which reads it ahead at the same time.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from . import parallel_reading

FORMAT = 1
DOCUMENT = "copy.json"
LEAST_BYTES = 2**30  # of a base; a smaller one is quantized in seconds
SPARE_BYTES = 2 * 2**30  # that the disk keeps free
QUANTIZATION = "NF4, double quantization, embeddings and head as published"
_STALE = 24 * 3600.0  # seconds after which another pod's half-written or unused copy is nobody's
_WEIGHTS = "*.safetensors"


def base_files(folder: Path) -> list[Path]:
    """The files that decide what the model in `folder` is."""
    return sorted([*folder.glob("*.json"), *folder.glob(_WEIGHTS)])


def base_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob(_WEIGHTS))


def identity_of(folder: Path, device: str) -> dict[str, Any]:
    """What a copy of the model in `folder` is made of; any difference means another copy."""
    versions = {name: _version(name) for name in ("bitsandbytes", "transformers", "torch")}
    return {
        "format": FORMAT,
        "base": _contents(base_files(folder)),
        "quantization": QUANTIZATION,
        "versions": versions,
        "device": device,  # CPU and GPU may round differently
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _contents(paths: Sequence[Path]) -> dict[str, str]:
    """The sha256 of each file: the hub's cache names its files by it (or, of small ones, by git's);
    any other is read."""
    named = {path: path.resolve() for path in paths if path.is_symlink()}
    blobs = {path.name: blob.name for path, blob in named.items() if blob.parent.name == "blobs"}
    return blobs | parallel_reading.sha256([path for path in paths if path.name not in blobs])


def place_of(cache: Path, source: str, identity: Mapping[str, Any]) -> Path:
    """Where the copy lies."""
    name = hashlib.sha256(source.encode()).hexdigest()[:12]
    key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
    return cache / "podctl-four-bit" / name / key


def fault(copy: Path, identity: Mapping[str, Any]) -> str | None:
    """Why the copy is not to be used: "absent", or what is wrong with it. Reads all of it."""
    if not copy.is_dir():
        return "absent"
    try:
        document = json.loads((copy / DOCUMENT).read_bytes())
        if document["identity"] != dict(identity):
            return "its document names another base or other settings"
        wanted = {str(name): str(digest) for name, digest in document["files"].items()}
        present = {path.name for path in copy.iterdir()} - {DOCUMENT}
        if present != set(wanted):
            return f"files differ: {', '.join(sorted(present ^ set(wanted)))}"
        digests = parallel_reading.sha256([copy / name for name in wanted])
        if changed := sorted(name for name in wanted if digests[name] != wanted[name]):
            return f"not what was written: {', '.join(changed)}"
    except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        return f"it cannot be read: {error}"
    return None


def read_ahead(folder: Path, most: int) -> None:
    """Reads weights into the page cache, at most `most` bytes: the loader then finds them there."""
    chosen: list[Path] = []
    for path in sorted(folder.glob(_WEIGHTS)):
        most -= path.stat().st_size
        if most >= 0:
            chosen.append(path)
    parallel_reading.read(chosen)


@dataclass(frozen=True)
class Refused:
    """Why no copy was written, for the log."""

    why: str


def write(model: Any, copy: Path, identity: Mapping[str, Any]) -> float | Refused:
    """Writes the quantized `model` as the copy; returns the seconds it took.

    Nothing is left behind where it fails, and nothing fails that the stage needs.
    """
    from safetensors import SafetensorError

    began = time.monotonic()
    needed = sum(tensor.nbytes for tensor in model.state_dict().values()) + SPARE_BYTES
    half = copy.with_name(f".{copy.name}.{os.getpid()}.half")
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        _sweep(copy.parent)
        free = shutil.disk_usage(copy.parent).free
        if free < needed:
            gib = 2**30
            return Refused(f"{free / gib:.0f} GiB are free, {needed / gib:.0f} GiB are needed")
        shutil.rmtree(half, ignore_errors=True)
        model.save_pretrained(half, max_shard_size="2GB")
        hashes = parallel_reading.sha256(sorted(half.iterdir()))
        document = {"identity": dict(identity), "files": hashes}
        (half / DOCUMENT).write_text(json.dumps(document, indent=1) + "\n")
        for path in half.iterdir():
            _sync(path)
        if copy.is_dir():  # a broken one, or another pod's of this moment
            shutil.rmtree(copy, ignore_errors=True)
        os.rename(half, copy)
        _sync(copy.parent)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        return Refused(" ".join(str(error).split())[:300])
    finally:
        shutil.rmtree(half, ignore_errors=True)
    return time.monotonic() - began


def mark_used(copy: Path) -> None:
    """So that it is not taken for one that nobody uses."""
    try:
        os.utime(copy / DOCUMENT)
    except OSError:
        return  # another's file system may not allow it


def _sweep(folder: Path) -> None:
    """Removes half-written copies and those of earlier settings that no stage used for a day."""
    for path in folder.iterdir():
        document = path / DOCUMENT
        newest = document if document.is_file() else path
        if time.time() - newest.stat().st_mtime > _STALE:
            shutil.rmtree(path, ignore_errors=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
