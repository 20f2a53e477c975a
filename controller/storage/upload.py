"""Sends one file to a volume, in parts, going on where it stopped, and checks it at the end."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from controller.errors import ConnectionLost, NotFound, PodctlError, VerificationFailed
from controller.storage.client import COMPLETE_SECONDS, StoredFile, VolumeClient
from controller.storage.etag import PART, comparable, file_etag, part_size

CONNECTIONS = 4
PART_SECONDS = 6 * 3600.0  # of all parts together
LOOK_SECONDS = 3.0  # between looks for a file whose parts are being put together

Sent = Callable[[int], None]


def is_there(stored: StoredFile | None, source: Path) -> bool:
    """Whether the volume has this content already, by size and checksum."""
    if stored is None or stored.size != source.stat().st_size:
        return False
    return comparable(stored.etag, stored.size) and stored.etag == file_etag(source)


def upload(
    volume: VolumeClient, source: Path, path: str, sent: Sent, sleep: Callable[[float], None]
) -> None:
    """Make `path` on the volume the content of `source`. `sent` is called with bytes sent.

    Raises VerificationFailed if the volume has another content afterwards, or the file changed.
    """
    before = source.stat()
    if before.st_size <= PART:
        volume.put(path, source.read_bytes())
        sent(before.st_size)
    else:
        _upload_parts(volume, source, path, before.st_size, sent)
    stored = _wait_for(volume, path, sleep)
    after = source.stat()
    if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        raise VerificationFailed(
            "a file changed while it was sent", where=str(source), hint="run the command again"
        )
    if stored is None or stored.size != before.st_size:
        raise VerificationFailed(
            "the volume does not have what was sent: the storage API reported success",
            where=path,
            cause="no such file" if stored is None else f"{stored.size} bytes are there",
            hint="run the command again; if it repeats, send the file through a pod",
        )
    if comparable(stored.etag, stored.size) and stored.etag != file_etag(source):
        raise VerificationFailed(
            "the volume has another content than was sent", where=path,
            hint="run the command again",
        )  # fmt: skip


def _upload_parts(volume: VolumeClient, source: Path, path: str, size: int, sent: Sent) -> None:
    length = part_size(size)
    numbers = range(1, -(-size // length) + 1)
    upload_id, there = _begun(volume, path)

    def send(number: int) -> tuple[int, str]:
        with source.open("rb") as file:
            file.seek((number - 1) * length)
            content = file.read(length)
        etag = hashlib.md5(content).hexdigest()  # noqa: S324 - the API's checksum
        if there.get(number) != etag:
            arrived = volume.put_part(path, upload_id, number, content)
            if arrived != etag:
                raise VerificationFailed("a part arrived damaged", where=path)
        sent(len(content))
        return number, etag

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        futures = [pool.submit(send, number) for number in numbers]
        try:
            parts = [future.result(PART_SECONDS) for future in futures]
        except BaseException:
            for future in futures:
                future.cancel()
            raise
    try:
        volume.complete(path, upload_id, parts)
    except ConnectionLost:
        return  # large files take longer than the gateway waits: look for the result


def _begun(volume: VolumeClient, path: str) -> tuple[str, dict[int, str]]:
    """An upload to go on with and the checksums of its parts; else a new one."""
    for upload_id in volume.unfinished(path):
        try:
            return upload_id, {part.number: part.etag for part in volume.parts(path, upload_id)}
        except NotFound:
            continue
        except PodctlError:
            break
    return volume.begin(path), {}


def _wait_for(volume: VolumeClient, path: str, sleep: Callable[[float], None]) -> StoredFile | None:
    """The file on the volume, for which an upload of many parts may take a while."""
    deadline = time.monotonic() + COMPLETE_SECONDS
    while True:
        stored = volume.head(path)
        if stored is not None or not volume.unfinished(path) or time.monotonic() > deadline:
            return stored
        sleep(LOOK_SECONDS)
