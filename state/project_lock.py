"""The project lock: one process drives a project, and fences its predecessors.

`flock` decides who drives; the kernel releases it with the process, so no lock is ever stale. The
epoch in the database rejects writes of a process that lost the lock without noticing.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sqlite3
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from state.atomic_files import private_directory, write_atomically
from state.database import open_database, unfenced
from state.errors import Holder, OwnedElsewhere
from state.last_seen import LastSeen
from state.sqlite_errors import translated

LOCK = "owner.lock"
HOLDER = "owner.json"
DATABASE = "state.db"
NAMED_SECONDS = 2.0  # within which a new owner has recorded its name
DRIVER = "driver"  # the subject of the sighting that says where it was driven last


@dataclass
class ProjectLock:
    """Holds the lock until closed. `connection` and `epoch` are what the journal writes with."""

    folder: Path
    holder: Holder
    connection: sqlite3.Connection
    epoch: int
    moved_from: str  # the host that drove before, when it was another one; else empty
    _descriptor: int

    def close(self) -> None:
        """Release the project. Idempotent."""
        if self._descriptor < 0:
            return
        self.connection.close()
        (self.folder / HOLDER).unlink(missing_ok=True)
        descriptor, self._descriptor = self._descriptor, -1
        os.close(descriptor)  # the lock goes with it; its file stays, or two could hold "it"

    def __enter__(self) -> ProjectLock:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def acquire(
    folder: Path,
    what: str,
    wait_seconds: float = 0.0,
    prepare: Callable[[], Path] | None = None,
) -> ProjectLock:
    """Become the owner of `folder` (a project's .podctl), for `what` as shown to others.

    `prepare` is called while the lock is held and returns another database path than state.db (for
    `podctl import`). Raises OwnedElsewhere when another process still drives after `wait_seconds`,
    StateError when the folder or its database cannot be used.
    """
    with translated(folder):
        private_directory(folder)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(folder / LOCK, flags, 0o600)
    try:
        _lock(descriptor, folder, time.monotonic() + wait_seconds)
        me = Holder(os.getpid(), socket.gethostname(), time.time(), what)
        with translated(folder):
            write_atomically(folder / HOLDER, json.dumps(asdict(me)).encode() + b"\n")
        connection = open_database(prepare() if prepare else folder / DATABASE)
        try:
            epoch, before = _next_epoch(connection), _moved(connection, me.host)
            return ProjectLock(folder, me, connection, epoch, before, descriptor)
        except BaseException:
            connection.close()
            raise
    except BaseException:
        os.close(descriptor)
        raise


def _lock(descriptor: int, folder: Path, deadline: float) -> None:
    pause = 0.01
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise OwnedElsewhere(_driver(folder)) from None
            time.sleep(pause)
            pause = min(pause * 2, 0.25)
        else:
            return


def _driver(folder: Path) -> Holder | None:
    """The lock's holder; waits briefly for one that has just taken it to record its name."""
    deadline = time.monotonic() + NAMED_SECONDS
    current = holder(folder)
    while current is None and _held(folder) and time.monotonic() < deadline:
        time.sleep(0.01)
        current = holder(folder)
    return current


def _next_epoch(connection: sqlite3.Connection) -> int:
    with unfenced(connection):
        connection.execute("UPDATE owner SET epoch = epoch + 1")
    return epoch_of(connection)


def epoch_of(connection: sqlite3.Connection) -> int:
    """The epoch of the current or last owner."""
    with translated():
        (epoch,) = connection.execute("SELECT epoch FROM owner").fetchone()
    return int(epoch)


def _moved(connection: sqlite3.Connection, location: str) -> str:
    """The host that drove this state before, if another one: the folder may be a copy."""
    sightings = LastSeen(connection)
    before = sightings.last(DRIVER)
    host = str(before.data.get("host", "")) if before else ""
    if host != location:
        sightings.see(DRIVER, "owner", {"host": location})
    return host if host != location else ""


def holder(folder: Path) -> Holder | None:
    """The process that drives `folder`; None when there is none or its name is not recorded."""
    named = _named(folder) if _held(folder) else None
    return named if named is not None and _is_alive(named) else None


def _held(folder: Path) -> bool:
    """Whether a living process holds the lock, according to the kernel."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _is_alive(holder: Holder) -> bool:
    """Whether the recorded process may still run; always True for a process of another host."""
    try:
        os.kill(holder.pid, 0)
    except ProcessLookupError:
        return holder.host != socket.gethostname()
    except PermissionError:
        return True
    return True


def _named(folder: Path) -> Holder | None:
    """What the last holder wrote down."""
    try:
        document = json.loads((folder / HOLDER).read_bytes())
        return Holder(
            int(document["pid"]),
            str(document["host"]),
            float(document["since"]),
            str(document["what"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
