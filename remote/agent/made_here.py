"""What jobs on this disk wrote enters the blob store, so that the next run's inputs do not travel.

A hard link costs neither room nor a copy. The file may have changed since its manifest was written,
and a manifest is a file like any other: what counts is the hash of what was linked.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from .. import names
from ..contract import Manifest
from ..pod.paths import document

CHUNK = 1024 * 1024


def link(root: Path, wanted: Mapping[str, Path], beat: Callable[[], None]) -> None:
    """Link outputs of any run below `root` that have a hash of `wanted` to the path it gives."""
    left = dict(wanted)
    for sha256, size, path in _outputs(root, wanted):
        if sha256 in left and _link(path, left[sha256], sha256, size, beat):
            del left[sha256]


def _outputs(root: Path, wanted: Mapping[str, Path]) -> Iterator[tuple[str, int, bytes]]:
    """Hash, size and path of outputs, as the manifests of the runs name them."""
    for place in sorted((root / "runs").glob("*/manifest.json")):
        manifest = document(Manifest, place)
        for entry in manifest.files if manifest is not None else ():
            if entry.sha256 in wanted and not names.wrong(entry.path):
                work = os.fsencode(place.parent / "work")
                yield entry.sha256, entry.size, os.path.join(work, names.raw(entry.path))


def _link(path: bytes, blob: Path, sha256: str, size: int, beat: Callable[[], None]) -> bool:
    """Link one file to `blob` if it is a regular file with this size and hash."""
    beside = blob.with_name(f".{sha256}.made.{os.getpid()}")
    try:
        blob.parent.mkdir(parents=True, exist_ok=True)
        os.link(path, beside, follow_symlinks=False)
    except OSError:  # it is gone, or the disk knows no hard links
        return False
    try:
        if _is(beside, sha256, size, beat):
            os.replace(beside, blob)
            return True
        return False
    except OSError:
        return False
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()


def _is(path: Path, sha256: str, size: int, beat: Callable[[], None]) -> bool:
    known = path.lstat()
    if not stat.S_ISREG(known.st_mode) or known.st_size != size:
        return False
    found = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(CHUNK):
            beat()
            found.update(data)
    return found.hexdigest() == sha256
