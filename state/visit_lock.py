"""Which processes use the pod of a lease by hand: each holds a shared lock on a file.

The kernel ends a lock with its process, so that a killed one is not taken for a user of the pod.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from state.atomic_files import private_directory
from state.sqlite_errors import translated

FOLDER = "visits"


@contextmanager
def visitor(state_dir: Path, lease: str) -> Iterator[int]:
    """Count as a user of the lease's pod; yields the descriptor that `is_last` takes."""
    descriptor = _open(state_dir, lease)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield descriptor
    finally:
        os.close(descriptor)


def is_last(descriptor: int) -> bool:
    """Whether no other process uses the pod. Call it while holding the project lock."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        return False
    return True


def is_visited(state_dir: Path, lease: str) -> bool:
    """Whether a living process uses the lease's pod."""
    descriptor = _open(state_dir, lease)
    try:
        return not is_last(descriptor)
    finally:
        os.close(descriptor)


def _open(state_dir: Path, lease: str) -> int:
    with translated(state_dir):
        private_directory(state_dir / FOLDER)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(state_dir / FOLDER / lease, flags, 0o600)
