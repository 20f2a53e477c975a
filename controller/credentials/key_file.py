"""Reads a private file that holds one key."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from controller.credentials.secret import Secret
from controller.errors import Refused

MAX_BYTES = 64 * 1024


def read_key(path: Path) -> Secret:
    """Return the only word of the file, which must be regular, private, and owned by the user.

    Raises Refused otherwise.
    """
    try:
        with path.open("rb") as file:
            info = os.fstat(file.fileno())
            raw = file.read(MAX_BYTES)
    except OSError as error:
        raise Refused(
            "the key file cannot be read",
            where=str(path),
            cause=str(error),
            hint="correct the path",
        ) from error
    if not stat.S_ISREG(info.st_mode) or info.st_mode & 0o077 or info.st_uid != os.geteuid():
        raise Refused(
            "the key file is not private",
            where=str(path),
            cause=f"mode {stat.S_IMODE(info.st_mode):04o}, owner {info.st_uid}",
            hint=f"chmod 600 {path}",
        )
    key = raw.decode("utf-8", "replace").strip()
    if not key or len(key.split()) != 1:
        raise Refused("the key file does not hold one key", where=str(path))
    return Secret(key)
