"""podctl's files for this user, outside of every project: `~/.local/state/podctl`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from controller.errors import UsageError
from state.atomic_files import private_directory, write_atomically
from state.errors import StateError

NAME = "podctl"


def folder(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder below XDG_STATE_HOME, if that is absolute. Raises UsageError without a home."""
    return _base(environ, "XDG_STATE_HOME", ".local", "state") / NAME


def config_file(environ: Mapping[str, str] = os.environ) -> Path:
    """The user's own settings, for every project. Raises UsageError without a home."""
    return _base(environ, "XDG_CONFIG_HOME", ".config") / NAME / "config.toml"


def _base(environ: Mapping[str, str], variable: str, *otherwise: str) -> Path:
    chosen = environ.get(variable, "")
    if os.path.isabs(chosen):
        return Path(chosen)
    try:
        home = Path(environ["HOME"]) if environ.get("HOME") else Path.home()
    except RuntimeError as error:
        raise UsageError(
            "you have no home folder", cause=str(error), hint=f"export {variable}=…"
        ) from error
    return home.joinpath(*otherwise)


def save(path: Path, data: bytes) -> None:
    """Write a file of `folder` that only this user may read. Raises UsageError."""
    try:
        private_directory(path.parent)
        write_atomically(path, data)
    except (OSError, StateError) as error:
        raise UsageError(
            "podctl's own folder cannot be written", where=str(path), cause=str(error)
        ) from error
