"""Which emulators of this user run, and the key of each: drawn anew at every start.

<state folder>/emulator.json     written by the emulator itself
.podctl/emulator.json            the one that was started in this project
~/.local/state/podctl/emulators/<port>.json
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError

from controller import user_state
from controller.errors import Refused, UsageError

KNOWN_KEY = "rpa_emulator"  # of an emulator that was told to take it
FILE = "emulator.json"
FOLDER = "emulators"


class EmulatorFile(BaseModel):
    """What a running emulator leaves for its user."""

    base_url: str
    api_key: str = KNOWN_KEY
    pid: int | None = None

    @property
    def alive(self) -> bool:
        """Whether the process that wrote it is there, and this user's."""
        if self.pid is None or self.pid <= 0:
            return self.pid is None
        try:
            os.kill(self.pid, 0)
        except OSError:
            return False
        return True


def read(path: Path) -> EmulatorFile | None:
    """None where there is none. Raises Refused for one that is not valid."""
    try:
        return EmulatorFile.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise Refused(
            "the emulator's file cannot be read",
            where=str(path),
            cause=str(error).splitlines()[0],
            hint="start it again: podctl emulator",
        ) from error


def noted(environ: Mapping[str, str]) -> tuple[EmulatorFile, ...]:
    """This user's emulators that run now."""
    try:
        paths = sorted((user_state.folder(environ) / FOLDER).glob("*.json"))
    except (OSError, UsageError):
        return ()
    found = []
    for path in paths:
        try:
            one = read(path)
        except Refused:
            continue
        if one is not None and one.alive:
            found.append(one)
    return tuple(found)


def key_for(base_url: str, environ: Mapping[str, str]) -> str | None:
    """The key of this user's emulator that serves there."""
    port = _port(base_url)
    mine = (entry.api_key for entry in noted(environ) if _port(entry.base_url) == port)
    return next(mine, None) if port else None


def note(document: bytes, base_url: str, environ: Mapping[str, str]) -> Path:
    """Tell this user's other programs of an emulator. Raises UsageError."""
    path = user_state.folder(environ) / FOLDER / f"{_port(base_url)}.json"
    user_state.save(path, document)
    return path


def _port(base_url: str) -> int | None:
    try:
        return urlsplit(base_url).port
    except ValueError:
        return None
