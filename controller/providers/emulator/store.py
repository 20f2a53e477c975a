"""Saves the emulator's state as one JSON file, atomically."""

from __future__ import annotations

import json
import os
from pathlib import Path

from controller.errors import UsageError
from controller.providers.emulator.records import State
from state.file_sync import sync_file


class Store:
    """Reads and replaces `<folder>/state.json`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path = folder / "state.json"

    def load(self, credit: float) -> State:
        """The saved state, or a new account with `credit` dollars."""
        if not self.path.exists():
            return State(credit=credit)
        try:
            return State.from_dict(json.loads(self.path.read_bytes()))
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(
                "the emulator's saved state cannot be read",
                where=str(self.path),
                cause=str(error),
                hint="remove that folder to begin with an empty cloud",
            ) from error

    def save(self, state: State) -> None:
        temporary = self.path.with_suffix(".tmp")
        with temporary.open("w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o600)  # it holds keys
            json.dump(state.as_dict(), file)
            file.flush()
            sync_file(file.fileno())
        os.replace(temporary, self.path)
