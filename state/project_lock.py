"""One process drives a project at a time, and the one before it can write nothing more.

The kernel's `flock` says who drives; it dies with the process, so nothing is ever stale. The epoch
in the database fences whoever lost the lock without noticing: every write checks it.
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
NAMED_SECONDS = 2.0  # within which a new owner has written down who it is
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
        """Give the project back. May be called again."""
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

    `prepare` is called once nobody else drives, and names another database than state.db: for
    who builds one. Raises OwnedElsewhere when another process still drives after `wait_seconds`,
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
    """Who has the lock; whoever has just taken it is about to write down who it is."""
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
    """The epoch of whoever owns the state now, or owned it last."""
    with translated():
        (epoch,) = connection.execute("SELECT epoch FROM owner").fetchone()
    return int(epoch)


def _moved(connection: sqlite3.Connection, location: str) -> str:
    """Where this state was driven before, when that was elsewhere: it may have been copied."""
    sightings = LastSeen(connection)
    before = sightings.last(DRIVER)
    host = str(before.data.get("host", "")) if before else ""
    if host != location:
        sightings.see(DRIVER, "owner", {"host": location})
    return host if host != location else ""


def holder(folder: Path) -> Holder | None:
    """Who drives `folder` now; None when nobody holds the lock, or it does not say who."""
    named = _named(folder) if _held(folder) else None
    return named if named is not None and _is_alive(named) else None


def _held(folder: Path) -> bool:
    """Whether a living process has the lock: the kernel knows, whatever a file says."""
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
    """Whether it still can be; a killed one leaves its name behind. Elsewhere nobody can tell."""
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
