"""Fetches one file of a volume beside its place, going on where it stopped, and checks it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from controller.errors import VerificationFailed
from controller.storage.client import StoredFile, VolumeClient
from controller.storage.etag import comparable, file_etag
from state.atomic_files import sync_folder
from state.file_sync import sync_file


def download(
    volume: VolumeClient,
    stored: StoredFile,
    target: Path,
    received: Callable[[int], None],
    sha256: str | None = None,
) -> bool:
    """Make `target` the file's content; returns whether a checksum proves it, else only its size.

    Raises VerificationFailed for a content that does not match `sha256` or the checksum.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    mark = hashlib.sha256(f"{stored.path}\0{stored.etag}\0{stored.size}".encode()).hexdigest()[:16]
    beside = target.with_name(f".podctl-{mark}.part")
    start = beside.stat().st_size if beside.exists() else 0
    if start > stored.size:
        beside.unlink()
        start = 0
    received(start)
    with beside.open("ab") as file:
        if start < stored.size:
            for block in volume.read(stored.path, stored.etag, start):
                file.write(block)
                received(len(block))
        file.flush()
        sync_file(file.fileno())
    proven = _check(beside, stored, sha256)
    os.replace(beside, target)
    sync_folder(target.parent)
    return proven


def _check(beside: Path, stored: StoredFile, sha256: str | None) -> bool:
    size = beside.stat().st_size
    proven = sha256 is not None or comparable(stored.etag, stored.size)
    right = size == stored.size
    if right and sha256 is not None:
        right = _sha256(beside) == sha256
    elif right and proven:
        right = file_etag(beside) == stored.etag
    if not right:
        beside.unlink()
        raise VerificationFailed(
            "a file of the volume arrived damaged", where=stored.path,
            cause=f"{size} of {stored.size} bytes, or another hash",
            hint="run the command again",
        )  # fmt: skip
    return proven


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
