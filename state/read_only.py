"""Reads a database that cannot be written: on a read-only disk, or in a mounted backup.

It is read into memory, and no file is created. Last-seen values that a command stores there are
lost with the process.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from pathlib import Path
from urllib.parse import quote

from state.contention import Connection
from state.errors import Newer, StateError
from state.schema import APPLICATION_ID, MIGRATIONS

PATIENT_SECONDS = 2.0  # for a writer, where the folder is another machine's


def unwritable(path: Path) -> bool:
    """Whether the database at `path` cannot be written, or made, by us or at all."""
    folder = next((parent for parent in path.parents if parent.exists()), path.parent)
    return not os.access(folder, os.W_OK) or (path.exists() and not os.access(path, os.W_OK))


def read_into_memory(path: Path) -> Connection:
    """The whole database at `path`; of a transaction that was cut off nothing. One without tables
    where there is none. Raises StateError.

    sqlite3's own errors come out as they are.
    """
    journal = path.with_name(f"{path.name}-journal")
    if not path.exists():
        return sqlite3.connect(":memory:", isolation_level=None, factory=Connection)
    if not journal.exists() or not journal.stat().st_size:
        return _checked(_copied(path), path)
    with tempfile.TemporaryDirectory(prefix="podctl-") as folder:  # what was cut off is undone
        for file in (path, journal):
            shutil.copyfile(file, Path(folder, file.name))
        return _checked(_copied(Path(folder, path.name), mode="rw"), path)


def read_snapshot(path: Path) -> Connection:
    """The file's own words, whoever holds it now: for a figure that is told, and not worked with.

    Raises: StateError.
    """
    connection = sqlite3.connect(":memory:", isolation_level=None, factory=Connection)
    try:
        content = path.read_bytes()
        if not content:  # sqlite3 takes that for a lack of memory
            raise StateError(f"{path} is empty")
        connection.deserialize(content)
        return _checked(connection, path)
    except (OSError, sqlite3.Error) as error:
        raise StateError(f"{path}: {error}") from error


def _copied(path: Path, mode: str = "ro") -> Connection:
    address = f"file:{quote(str(path))}?mode={mode}"
    copy = sqlite3.connect(":memory:", isolation_level=None, factory=Connection)
    source = sqlite3.connect(address, uri=True, timeout=PATIENT_SECONDS)
    try:
        source.backup(copy)
    finally:
        source.close()
    return copy


def _checked(copy: Connection, path: Path) -> Connection:
    (application,) = copy.execute("PRAGMA application_id").fetchone()
    (version,) = copy.execute("PRAGMA user_version").fetchone()
    if application not in (0, APPLICATION_ID):
        raise StateError(f"{path} is a database of another program")
    if version > len(MIGRATIONS):
        raise Newer(f"{path} is of a newer podctl", hint="use the podctl that wrote it")
    if version < len(MIGRATIONS):
        raise StateError(
            f"{path} is of an older podctl, and cannot be brought up to date where it lies",
            hint="copy the project to a place that can be written",
        )
    return copy
