"""Which received files were hashed here, and what they were like then.

A file of the same size, time and inode is not read again. The record is a cache: whatever it lacks,
or what changed since, is read once more.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from controller.transfer.manifest_check import STAGING

RECORD = "verified.json"
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
NEW_FILE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
VerifiedFacts = list[Any]  # size, time in ns, inode, sha256


def verified_facts(stat_result: os.stat_result, sha256: str) -> VerifiedFacts:
    return [stat_result.st_size, stat_result.st_mtime_ns, stat_result.st_ino, sha256]


def verified_files(into: Path) -> dict[str, VerifiedFacts]:
    """What pulls below `into` hashed: local path to its facts."""
    try:
        staging = os.open(into / STAGING, FOLDER)
    except OSError:
        return {}
    try:
        return read_record(staging)
    finally:
        os.close(staging)


def read_record(staging: int) -> dict[str, VerifiedFacts]:
    """The record in the open folder `staging`; an invalid one is empty."""
    try:
        fd = os.open(RECORD, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=staging)
        with os.fdopen(fd, "rb") as file:
            value = json.load(file)
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def write_record(staging: int, verified: Mapping[str, VerifiedFacts]) -> None:
    """Replace the record; where that fails, the next pull reads the files again."""
    temporary = f".{RECORD}"
    with contextlib.suppress(OSError):
        _drop(staging, temporary)
        fd = os.open(temporary, NEW_FILE, 0o600, dir_fd=staging)
        with os.fdopen(fd, "w") as file:
            json.dump(verified, file, separators=(",", ":"))
        os.replace(temporary, RECORD, src_dir_fd=staging, dst_dir_fd=staging)
        return
    with contextlib.suppress(OSError):
        _drop(staging, temporary)


def _drop(folder: int, name: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)
