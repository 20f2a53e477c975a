"""Writes objects: at once, or in parts that are put together at the end."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

from controller.providers.emulator.storage.errors import StorageError
from controller.providers.emulator.storage.objects import BLOCK, UPLOADS, Bucket
from controller.providers.emulator.storage.signature import UNSIGNED

MAX_PART = 500_000_000  # bytes of one request; larger objects are sent in parts


@dataclass(frozen=True)
class Part:
    """One part of an unfinished upload."""

    number: int
    size: int
    etag: str


async def receive(body: AsyncIterator[bytes], target: Path, payload: str) -> str:
    """Write a request's body into `target`; returns its MD5. Raises StorageError."""
    md5, sha256, size = hashlib.md5(), hashlib.sha256(), 0  # noqa: S324 - the API's checksum
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name[:100]}.{secrets.token_hex(4)}")
    try:
        with beside.open("wb") as file:
            async for block in body:
                size += len(block)
                if size > MAX_PART:
                    raise StorageError("EntityTooLarge", "more than 500 MB in one request")
                md5.update(block)
                sha256.update(block)
                file.write(block)
        if payload not in (UNSIGNED, sha256.hexdigest()):
            raise StorageError("XAmzContentSHA256Mismatch", "the body is not what was signed")
        os.replace(beside, target)
    finally:
        beside.unlink(missing_ok=True)
    return md5.hexdigest()


class Uploads:
    """The unfinished multipart uploads of one volume."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._folder = bucket.folder / UPLOADS

    def create(self, key: str) -> str:
        """Begin an upload; returns its id."""
        self._bucket.path(key)
        upload = secrets.token_hex(16)
        folder = self._folder / upload
        folder.mkdir(parents=True)
        (folder / "key.json").write_text(json.dumps(key))
        return upload

    def all(self) -> Iterator[tuple[str, str]]:
        """Key and id of each unfinished upload."""
        for folder in sorted(self._folder.glob("*/key.json")):
            yield str(json.loads(folder.read_text())), folder.parent.name

    def part_path(self, key: str, upload: str, number: int) -> Path:
        """The file of one part. Raises StorageError (NoSuchUpload, InvalidArgument)."""
        if not 1 <= number <= 10_000:
            raise StorageError("InvalidArgument", "the part number is not between 1 and 10000")
        return self._upload(key, upload) / f"{number:05d}"

    def note(self, path: Path, etag: str) -> None:
        path.with_suffix(".md5").write_text(etag)

    def parts(self, key: str, upload: str) -> tuple[Part, ...]:
        """The parts that have arrived, by number."""
        folder = self._upload(key, upload)
        files = sorted(path for path in folder.iterdir() if path.name.isdigit())
        return tuple(
            Part(int(path.name), path.stat().st_size, path.with_suffix(".md5").read_text())
            for path in files
            if path.with_suffix(".md5").exists()
        )

    def complete(self, key: str, upload: str, wanted: tuple[tuple[int, str], ...]) -> str:
        """Put the parts together; returns the object's ETag. Raises StorageError."""
        folder = self._upload(key, upload)
        there = {part.number: part.etag for part in self.parts(key, upload)}
        if not wanted or list(wanted) != sorted(set(wanted)):
            raise StorageError("InvalidPartOrder", "the parts are not in ascending order")
        for number, etag in wanted:
            if there.get(number) != etag:
                raise StorageError("InvalidPart", f"part {number} is missing or another one")
        target = self._bucket.path(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        whole = folder / "whole"
        with whole.open("wb") as out:
            for number, _ in wanted:
                with (folder / f"{number:05d}").open("rb") as file:
                    shutil.copyfileobj(file, out, BLOCK)
        os.replace(whole, target)
        shutil.rmtree(folder)
        joined = hashlib.md5(b"".join(bytes.fromhex(etag) for _, etag in wanted))  # noqa: S324 - the API's checksum
        etag = f"{joined.hexdigest()}-{len(wanted)}"
        self._bucket.remember(target, etag)
        return etag

    def abort(self, key: str, upload: str) -> None:
        shutil.rmtree(self._upload(key, upload))

    def _upload(self, key: str, upload: str) -> Path:
        folder = self._folder / upload
        known = upload.isalnum() and (folder / "key.json").exists()
        if not known or json.loads((folder / "key.json").read_text()) != key:
            raise StorageError("NoSuchUpload", "the upload does not exist")
        return folder
