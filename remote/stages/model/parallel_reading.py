"""Reads files in several threads, none of which keeps the process from ending."""

from __future__ import annotations

import hashlib
import queue
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

LONGEST = 900.0  # seconds: 65 GB at 72 MB/s
_READERS = 8
_BLOCK = 2**24


def read(paths: Sequence[Path]) -> None:
    """Reads the files into the page cache. Raises: OSError."""
    _each(_read, paths)


def sha256(paths: Sequence[Path]) -> dict[str, str]:
    """The digest of each file, by its name. Raises: OSError."""
    digests = _each(_digest, paths)
    return {path.name: digests[path] for path in paths}


def _each(work: Callable[[Path], str], paths: Sequence[Path]) -> dict[Path, str]:
    waiting: queue.SimpleQueue[Path] = queue.SimpleQueue()
    for path in paths:
        waiting.put(path)
    results: dict[Path, str] = {}
    errors: list[OSError] = []

    def loop() -> None:
        while not errors:
            try:
                path = waiting.get_nowait()
                results[path] = work(path)
            except queue.Empty:
                return
            except OSError as error:
                errors.append(error)

    threads = [threading.Thread(target=loop, daemon=True) for _ in range(_READERS)]
    for thread in threads:
        thread.start()
    until = time.monotonic() + LONGEST
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    if any(thread.is_alive() for thread in threads):
        raise TimeoutError(f"{len(paths)} files were not read within {LONGEST:.0f} s")
    if errors:
        raise errors[0]
    return results


def _read(path: Path) -> str:
    with path.open("rb", buffering=0) as stream:
        while stream.read(_BLOCK):
            pass
    return ""


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
