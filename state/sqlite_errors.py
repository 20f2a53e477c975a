"""SQLite's and the system's errors as errors of the state, with the next command."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from state.backups import BACKUPS, backups
from state.errors import Damaged, StateError, Unavailable

# Temporary errors that occur before a commit: the transaction can be repeated.
PASSING = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_FULL", "SQLITE_CANTOPEN", "SQLITE_IOERR_WRITE")
HINTS = {
    "SQLITE_FULL": "free some disk space and run the command again",
    "SQLITE_BUSY": "another podctl is writing; run the command again",
    "SQLITE_READONLY": "the folder .podctl must be writable",
    "SQLITE_IOERR": "look at the disk, then run the command again: nothing was half written",
}


def damaged(detail: str, path: Path | None = None) -> Damaged:
    """The error for a damaged database, with the command that repairs it."""
    where = str(path) if path else "the state"
    copies = backups(path.parent / BACKUPS) if path else ()
    hint = "podctl import builds it anew from the provider's pods, .podctl/runs and locks/"
    if copies:
        hint = (
            f"podctl import --from-backup puts {copies[-1]} back and asks the provider what was"
            " rented since; podctl import --anew begins without it"
        )
    return Damaged(f"{where} is damaged: {detail}", hint=hint)


@contextmanager
def translated(path: Path | None = None, damage: tuple[str, ...] = ()) -> Iterator[None]:
    """Translate SQLite and OS errors to StateError; names in `damage` mean a damaged file."""
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
