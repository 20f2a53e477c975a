"""The one door to SQLite: opening, checking, migrating, backing up, writing.

Rollback journal and `synchronous=EXTRA`: a transaction that returned is on the disk, whatever
dies next. Two processes may open one database; only the owner's epoch may write to the journal.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from state.atomic_files import private_directory, refuse_foreign, sync_folder, write_atomically
from state.contention import Connection
from state.durable import sync_file
from state.errors import Damaged, Fenced, Newer, StateError, Unavailable
from state.read_only import read_into_memory, unwritable
from state.schema import APPLICATION_ID, MIGRATIONS

BUSY_SECONDS = 10.0
QUICK_CHECK_BYTES = 4 * 1024 * 1024  # a check of so much takes some 10 ms
READER = 0  # the epoch of a connection that owns nothing: no fenced write accepts it
BACKUPS = "backups"  # the folder of copies, beside the database
CHECK, CHECK_SECONDS = "check", 86400.0  # the sighting of the last thorough check
NAME = "installation"  # the file that keeps the folder's random name, and that it had a database
# What may pass, and is met before a transaction counts: it can be done again as a whole.
PASSING = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_FULL", "SQLITE_CANTOPEN", "SQLITE_IOERR_WRITE")
HINTS = {
    "SQLITE_FULL": "free some disk space and run the command again",
    "SQLITE_BUSY": "another podctl is writing; run the command again",
    "SQLITE_READONLY": "the folder .podctl must be writable",
    "SQLITE_IOERR": "look at the disk, then run the command again: nothing was half written",
}


def open_database(
    path: Path,
    *,
    readonly: bool = False,
    reading: bool = False,
    migrations: Sequence[Sequence[str]] = MIGRATIONS,
) -> sqlite3.Connection:
    """Open or create the database, checked and migrated. Raises StateError.

    `readonly` refuses every write afterwards; it still rolls back what a killed writer left. Who is
    `reading`, and may remember what it saw, gets a copy in memory where the disk takes nothing.
    The connection is in autocommit mode: `writing` begins and ends every transaction.
    """
    if (readonly or reading) and unwritable(path):
        with translated(path, damage=("SQLITE_ERROR",)):
            found = read_into_memory(path)
            _migrate(found, path, migrations, secrets.token_hex(8))
            return found
    with translated(path):
        private_directory(path.parent)
        # Asked first: another process that is creating it right now writes these only afterwards.
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
    """A new database under the name of a lost one, which the pods carry. Raises StateError."""
    connection = _opened(path)
    with translated(path):
        _migrate(connection, path, MIGRATIONS, name or secrets.token_hex(8))
    return connection


def _opened(path: Path, *, hurried: bool = False) -> sqlite3.Connection:
    """A connection to the file, configured and checked, whatever its version.

    A large file is read through after a writer was killed and, by who writes, once a day: it takes
    seconds. Who is `hurried` reads only.
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
    """The random name of the state folder as its own file has it; empty when there is none."""
    try:
        found = (folder / NAME).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
    return found if re.fullmatch(r"[0-9a-f]{16}", found) else ""


def _keep_name(folder: Path, connection: sqlite3.Connection) -> None:
    """So that a lost database is noticed, and its successor still knows our pods."""
    if not (folder / NAME).exists():
        write_atomically(folder / NAME, f"{installation(connection)}\n".encode())


def _leftover_journal(path: Path) -> bool:
    """Whether a writer died in a transaction (or is in one now)."""
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
    """Whether the last thorough check of a large file is a day ago, or there was none."""
    row = connection.execute("SELECT at FROM sighting WHERE subject = ?", (CHECK,)).fetchone()
    return row is None or not 0 <= time.time() - row[0] < CHECK_SECONDS


def _note_check(connection: sqlite3.Connection) -> None:
    with _transaction(connection):
        connection.execute(
            "INSERT OR REPLACE INTO sighting (subject, source, at, data)"
            " VALUES (?, 'podctl', ?, '{}')",
            (CHECK, time.time()),
        )


def damaged(detail: str, path: Path | None = None) -> Damaged:
    """The error that names the one command which puts it right."""
    where = str(path) if path else "the state"
    copies = backups(path.parent / BACKUPS) if path else ()
    hint = "podctl import builds it anew from the provider's pods, .podctl/runs and locks/"
    if copies:
        hint = (
            f"podctl import --from-backup puts {copies[-1]} back and asks the provider what was"
            " rented since; podctl import --anew begins without it"
        )
    return Damaged(f"{where} is damaged: {detail}", hint=hint)


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
            # Asked again inside the transaction: another process may have just done it.
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
def translated(path: Path | None = None, damage: tuple[str, ...] = ()) -> Iterator[None]:
    """SQLite's and the system's errors as ours; those named in `damage` mean a damaged file."""
    where = f"{path}: " if path else "state: "
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        hint = HINTS["SQLITE_FULL"] if full else ""
        kind = Unavailable if full else StateError
        raise kind(where + (error.strerror or str(error)), hint=hint) from error
    except UnicodeDecodeError as error:  # of the schema's text, in the library's own message
        raise damaged(f"text in it is not UTF-8: {error.reason}", path) from error
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")) or name in damage:
            raise damaged(str(error), path) from error
        hint = next((text for start, text in HINTS.items() if name.startswith(start)), "")
        kind = Unavailable if name.startswith(PASSING) else StateError
        raise kind(where + str(error), hint=hint) from error


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
    """One transaction of the owner with `epoch`; Fenced when somebody else owns the state now."""
    with translated(), _transaction(connection):
        (current,) = connection.execute("SELECT epoch FROM owner").fetchone()
        if current != epoch:
            raise Fenced(
                f"this process owned the state as number {epoch}, and now it is {current}",
                hint="nothing was written; another podctl carries on",
            )
        yield


@contextmanager
def unfenced(connection: sqlite3.Connection) -> Iterator[None]:
    """One transaction of anybody; only for what is no record, such as a sighting."""
    with translated(), _transaction(connection):
        yield


def installation(connection: sqlite3.Connection) -> str:
    """The random name of this state folder, 16 hex digits: marks our pods at the provider."""
    with translated():
        (name,) = connection.execute("SELECT installation FROM owner").fetchone()
    return str(name)


def backups(folder: Path) -> tuple[Path, ...]:
    """Copies in `folder`, oldest first."""
    if not folder.is_dir():
        return ()
    found = (path for path in folder.iterdir() if re.fullmatch(r"state-\d{6}\.db", path.name))
    return tuple(sorted(found))


def backup(connection: sqlite3.Connection, folder: Path, keep: int = 5) -> Path:
    """Write a compact, complete copy as `folder/state-<n>.db` and keep the newest `keep`."""
    with translated():
        return _backup(connection, folder, keep)


def _backup(connection: sqlite3.Connection, folder: Path, keep: int) -> Path:
    private_directory(folder)
    earlier = backups(folder)
    number = int(earlier[-1].stem.removeprefix("state-")) + 1 if earlier else 1
    target = folder / f"state-{number:06}.db"
    beside = folder / f".{target.name}.{os.getpid()}.new"
    beside.unlink(missing_ok=True)
    # Created first, empty and 0600: SQLite would use the umask.
    descriptor = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        connection.execute("VACUUM INTO ?", (str(beside),))
        sync_file(descriptor)
        os.replace(beside, target)
    finally:
        os.close(descriptor)
        beside.unlink(missing_ok=True)
    sync_folder(folder)
    for old in (*earlier, target)[:-keep]:
        old.unlink(missing_ok=True)
    return target
