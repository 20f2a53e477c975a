"""Replaces a lost or damaged state.db by one that is built beside it and renamed when complete.

Until the rename every other command refuses; the damaged file is kept in `damaged/`.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

from state.atomic_files import private_directory, sync_folder
from state.backups import BACKUPS, backups
from state.database import begin_database, kept_name, open_database
from state.errors import Damaged
from state.project_lock import DATABASE
from state.sqlite_errors import damaged, translated

SUCCESSOR = "import.db"
DAMAGED = "damaged"
_DOCUMENTS = (
    "SELECT 'op ' || seq FROM op WHERE NOT json_valid(data)",
    "SELECT 'lease ' || id FROM lease WHERE NOT json_valid(data)",
    "SELECT 'run ' || id FROM run"
    " WHERE NOT json_valid(spec) OR NOT json_valid(coalesce(result, '{}'))",
)


def damage(folder: Path) -> Damaged | None:
    """What is wrong with the database of `folder`; None when it is sound.

    Raises StateError for what another database would not fix, such as a newer version.
    """
    try:
        _thoroughly(open_database(folder / DATABASE, readonly=True))
    except Damaged as error:
        return error
    return None


def from_copy(folder: Path) -> tuple[Path, Path] | None:
    """The successor as the newest copy that is sound, and that copy; None when there is none."""
    for copy in reversed(backups(folder / BACKUPS)):
        successor = _fresh(folder)
        successor.touch(0o600)  # first, because a copy's mode would be the umask's
        shutil.copyfile(copy, successor, follow_symlinks=False)
        try:
            _thoroughly(open_database(successor))
        except Damaged:
            continue
        return successor, copy
    return None


def _thoroughly(connection: sqlite3.Connection) -> None:
    """Check everything, indexes and JSON documents included; slow, but done rarely."""
    try:
        with translated():
            (answer,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            broken = [row for query in _DOCUMENTS for row in connection.execute(query)]
    finally:
        connection.close()
    if answer != "ok" or broken:
        raise damaged(str(answer) if answer != "ok" else f"{broken[0][0]} cannot be read")


def write_empty(folder: Path) -> Path:
    """An empty successor that keeps the folder's name, by which its pods are known."""
    successor = _fresh(folder)
    begin_database(successor, kept_name(folder)).close()
    return successor


def _fresh(folder: Path) -> Path:
    """The successor's place, without what an interrupted attempt left there."""
    for name in (SUCCESSOR, f"{SUCCESSOR}-journal"):
        (folder / name).unlink(missing_ok=True)
    return folder / SUCCESSOR


def succeed(folder: Path) -> Path | None:
    """Put the successor in the place of what was there; returns where that is kept now.

    The rename is the one moment: before it the damaged file is still in place, and its rollback
    journal must be gone by then, or it would be applied to the successor.
    """
    damaged_copy = _keep(folder)
    os.replace(folder / SUCCESSOR, folder / DATABASE)
    sync_folder(folder)
    return damaged_copy


def _keep(folder: Path) -> Path | None:
    old, journal = folder / DATABASE, folder / f"{DATABASE}-journal"
    target = None
    if old.exists() and old.stat().st_size:
        private_directory(folder / DAMAGED)
        number = 1 + sum(1 for _ in (folder / DAMAGED).glob("state-*.db"))
        target = folder / DAMAGED / f"state-{number}.db"
        os.link(old, target)
        if journal.exists():
            os.link(journal, target.with_name(f"{target.name}-journal"))
        sync_folder(folder / DAMAGED)
    journal.unlink(missing_ok=True)
    return target
