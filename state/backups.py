"""Copies of the state database, beside it in the folder `backups`."""

from __future__ import annotations

import os
import re
import sqlite3
from pathlib import Path

from state.atomic_files import private_directory, sync_folder
from state.file_sync import sync_file

BACKUPS = "backups"  # the folder of copies, beside the database


def backups(folder: Path) -> tuple[Path, ...]:
    """Copies in `folder`, oldest first."""
    if not folder.is_dir():
        return ()
    copies = (path for path in folder.iterdir() if re.fullmatch(r"state-\d{6}\.db", path.name))
    return tuple(sorted(copies))


def write_backup(connection: sqlite3.Connection, folder: Path, keep: int) -> Path:
    """Write a copy as `folder/state-<n>.db`; raises what SQLite and the system raise."""
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
