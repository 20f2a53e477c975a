"""Opens, checks, migrates, backs up and writes the SQLite database.

Rollback journal and `synchronous=EXTRA`: a committed transaction survives a crash or power
cut. Two processes may open one database; only the owner's epoch may write to the journal.
"""

from __future__ import annotations

import os
import re
import secrets
import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from state.atomic_files import private_directory, refuse_foreign, write_atomically
from state.backups import BACKUPS, backups, write_backup
from state.contention import Connection
from state.errors import Damaged, Fenced, Newer
from state.read_only import read_into_memory, unwritable
from state.schema import APPLICATION_ID, MIGRATIONS
from state.sqlite_errors import damaged, translated

BUSY_SECONDS = 10.0
QUICK_CHECK_BYTES = 4 * 1024 * 1024  # a check of so much takes some 10 ms
READER = 0  # the epoch of a connection that owns nothing: no fenced write accepts it
CHECK, CHECK_SECONDS = "check", 86400.0  # the sighting of the last thorough check
NAME = "installation"  # the file that keeps the folder's random name, and that it had a database


def open_database(
    path: Path,
    *,
    readonly: bool = False,
    reading: bool = False,
    migrations: Sequence[Sequence[str]] = MIGRATIONS,
) -> sqlite3.Connection:
    """Open or create the database, checked and migrated. Raises StateError.

    `readonly` forbids later writes, but still rolls back the transaction of a killed writer. With
    `reading` (last-seen values may be stored), a path that cannot be written is copied to memory.
    The connection is in autocommit mode: `writing` begins and ends every transaction.
    """
    if (readonly or reading) and unwritable(path):
        with translated(path, damage=("SQLITE_ERROR",)):
            copy = read_into_memory(path)
            _migrate(copy, path, migrations, secrets.token_hex(8))
            return copy
    with translated(path):
        private_directory(path.parent)
        # Checked first: a process that is creating the database right now writes these afterwards.
        lived = bool(kept_name(path.parent) or backups(path.parent / BACKUPS))
        connection = _opened(path, hurried=readonly)
    try:
        with translated(path):
            if lived and _pragma(connection, "user_version") == 0:
                raise damaged("it is gone or empty, and there was one", path)
            _migrate(connection, path, migrations, secrets.token_hex(8))
            connection.execute(f"PRAGMA query_only = {int(readonly)}")
            _keep_name(path.parent, connection)
    except BaseException:
        connection.close()
        raise
    return connection


def begin_database(path: Path, name: str) -> sqlite3.Connection:
    """Create a database with the installation name of a lost one, which its pods carry.

    Raises StateError."""
    connection = _opened(path)
    with translated(path):
        _migrate(connection, path, MIGRATIONS, name or secrets.token_hex(8))
    return connection


def _opened(path: Path, *, hurried: bool = False) -> sqlite3.Connection:
    """Connect to the file, configured and checked, whatever its schema version.

    A small file is always checked. A large one, which takes seconds, is checked after a writer was
    killed and once a day; `hurried` skips the daily check.
    """
    unclean = _leftover_journal(path)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    refuse_foreign(path)
    path.chmod(0o600)
    connection = sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, factory=Connection
    )
    try:
        with translated(path, damage=("SQLITE_ERROR",)):
            _configure(connection)
            small = path.stat().st_size < QUICK_CHECK_BYTES
            _check_application(connection, path)
            due = not hurried and not small and _check_due(connection)
            if small or unclean or due:
                _check(connection, path)
            if due:
                _note_check(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def kept_name(folder: Path) -> str:
    """The installation name stored beside the database; empty when there is none."""
    try:
        name = (folder / NAME).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
    return name if re.fullmatch(r"[0-9a-f]{16}", name) else ""


def _keep_name(folder: Path, connection: sqlite3.Connection) -> None:
    """Store the installation name, which outlives a lost database and identifies its pods."""
    if not (folder / NAME).exists():
        write_atomically(folder / NAME, f"{installation(connection)}\n".encode())


def _leftover_journal(path: Path) -> bool:
    """Whether a writer died in a transaction, or is in one now."""
    journal = path.with_name(path.name + "-journal")
    try:
        return journal.stat().st_size > 0
    except FileNotFoundError:
        return False


def _configure(connection: sqlite3.Connection) -> None:
    for pragma in (
        "trusted_schema = OFF",
        "cell_size_check = ON",
        "foreign_keys = ON",
        "recursive_triggers = ON",  # so that REPLACE fires the triggers that forbid deletion
        "synchronous = EXTRA",
        "journal_mode = DELETE",
    ):
        connection.execute(f"PRAGMA {pragma}")
    if sys.platform == "darwin":
        connection.execute("PRAGMA fullfsync = ON")


def _check_application(connection: sqlite3.Connection, path: Path) -> None:
    application = _pragma(connection, "application_id")
    if application not in (0, APPLICATION_ID):
        raise Damaged(f"{path} is a database of another program", hint=f"move {path} away")


def _check(connection: sqlite3.Connection, path: Path) -> None:
    answer = connection.execute("PRAGMA quick_check(3)").fetchall()
    if answer != [("ok",)]:
        raise damaged("; ".join(str(row[0]) for row in answer), path)


def _check_due(connection: sqlite3.Connection) -> bool:
    """Whether the last full check of a large file is over a day old, or there was none."""
    row = connection.execute("SELECT at FROM sighting WHERE subject = ?", (CHECK,)).fetchone()
    return row is None or not 0 <= time.time() - row[0] < CHECK_SECONDS


def _note_check(connection: sqlite3.Connection) -> None:
    with _transaction(connection):
        connection.execute(
            "INSERT OR REPLACE INTO sighting (subject, source, at, data)"
            " VALUES (?, 'podctl', ?, '{}')",
            (CHECK, time.time()),
        )


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    (value,) = connection.execute(f"PRAGMA {name}").fetchone()
    return int(value)


def _migrate(
    connection: sqlite3.Connection, path: Path, migrations: Sequence[Sequence[str]], name: str
) -> None:
    version = _pragma(connection, "user_version")
    if version == len(migrations):
        return
    if 0 < version < len(migrations):
        backup(connection, path.parent / BACKUPS)
    for number in range(version + 1, len(migrations) + 1):
        with _transaction(connection):
            # Checked again inside the transaction: another process may have just migrated it.
            if _pragma(connection, "user_version") < number:
                for statement in migrations[number - 1]:
                    connection.execute(statement, {"installation": name})
                connection.execute(f"PRAGMA user_version = {number}")
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    version = _pragma(connection, "user_version")
    if version > len(migrations):
        raise Newer(
            f"{path} has version {version}, and this podctl knows {len(migrations)}",
            hint="use the podctl that wrote it, or a newer one",
        )


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def writing(connection: sqlite3.Connection, epoch: int) -> Iterator[None]:
    """One transaction of the owner with `epoch`. Raises Fenced when the epoch is a newer one."""
    with translated(), _transaction(connection):
        (current,) = connection.execute("SELECT epoch FROM owner").fetchone()
        if current != epoch:
            raise Fenced(
                f"this process owned the state as number {epoch}, and now it is {current}",
                hint="nothing was written; another podctl has taken over",
            )
        yield


@contextmanager
def unfenced(connection: sqlite3.Connection) -> Iterator[None]:
    """One transaction without an epoch check; only for last-seen values, never for records."""
    with translated(), _transaction(connection):
        yield


def installation(connection: sqlite3.Connection) -> str:
    """The installation's random name, 16 hex digits, with which its pods are marked."""
    with translated():
        (name,) = connection.execute("SELECT installation FROM owner").fetchone()
    return str(name)


def backup(connection: sqlite3.Connection, folder: Path, keep: int = 5) -> Path:
    """Write a compact, complete copy as `folder/state-<n>.db` and keep the newest `keep`."""
    with translated():
        return write_backup(connection, folder, keep)
