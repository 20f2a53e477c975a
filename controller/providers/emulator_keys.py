"""The running emulators of this user and their keys; every start generates a new key.

<state folder>/emulator.json     written by the emulator itself
.podctl/emulator.json            the emulator that was started in this project
~/.local/state/podctl/emulators/<port>.json
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError

from controller import user_state
from controller.errors import Refused, UsageError

KNOWN_KEY = "rpa_emulator"  # of an emulator that was started with it
FILE = "emulator.json"
FOLDER = "emulators"


class EmulatorFile(BaseModel):
    """The file of a running emulator."""

    base_url: str
    api_key: str = KNOWN_KEY
    pid: int | None = None

    @property
    def alive(self) -> bool:
        """Whether the process that wrote the file runs and belongs to this user."""
        if self.pid is None or self.pid <= 0:
            return self.pid is None
        try:
            os.kill(self.pid, 0)
        except OSError:
            return False
        return True


def read(path: Path) -> EmulatorFile | None:
    """Read the file; None if it does not exist. Raises Refused if it is not valid."""
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


def registered(environ: Mapping[str, str]) -> tuple[EmulatorFile, ...]:
    """The running emulators of this user."""
    try:
        paths = sorted((user_state.folder(environ) / FOLDER).glob("*.json"))
    except (OSError, UsageError):
        return ()
    running = []
    for path in paths:
        try:
            emulator = read(path)
        except Refused:
            continue
        if emulator is not None and emulator.alive:
            running.append(emulator)
    return tuple(running)


def key_for(base_url: str, environ: Mapping[str, str]) -> str | None:
    """The key of this user's emulator at `base_url`; None if there is none."""
    port = _port(base_url)
    keys = (entry.api_key for entry in registered(environ) if _port(entry.base_url) == port)
    return next(keys, None) if port else None


def storage_key(api_key: str) -> tuple[str, str]:
    """The emulator's key pair of the storage API: access key and secret.

    It follows from the API key, so that whoever has one has both.
    """
    secret = hashlib.sha256(f"storage {api_key}".encode()).hexdigest()
    return "user_emulator", f"rps_{secret[:40].upper()}"


def register(document: bytes, base_url: str, environ: Mapping[str, str]) -> Path:
    """Record an emulator for this user's other programs; returns the file. Raises UsageError."""
    path = user_state.folder(environ) / FOLDER / f"{_port(base_url)}.json"
    user_state.save(path, document)
    return path


def _port(base_url: str) -> int | None:
    try:
        return urlsplit(base_url).port
    except ValueError:
        return None
