"""Which running emulator a command means, and where a project's emulator keeps its state."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from controller.errors import NotFound, UsageError
from controller.project.project import Project, find

if TYPE_CHECKING:
    from controller.providers.emulator_keys import EmulatorFile


def running_emulator(
    port: int | None, state: Path | None, *, own_only: bool = False
) -> EmulatorFile:
    """The selected emulator. Raises NotFound, and UsageError if several match.

    Without a selection it is the project's, else the user's only one; with `own_only`, a project's
    command never means another project's.
    """
    from controller.providers import emulator_keys

    if state is not None:
        found = emulator_keys.read(state / emulator_keys.FILE)
        if found is None or not found.alive:
            raise NotFound(
                "no emulator is running with this state folder",
                where=str(state),
                hint=f"podctl emulator start --state {shlex.quote(str(state))}",
            )
        return found
    every = emulator_keys.registered(os.environ)
    if port is None and (own := emulator_of_project()) is not None:
        return own
    if own_only and port is None and (project := current_project_if_any()) is not None:
        raise NotFound(
            "no emulator is running for this project",
            where=str(project.state_dir),
            hint="podctl emulator start",
        )
    matching = [file for file in every if port is None or file.base_url.endswith(f":{port}")]
    if not matching:
        where = "" if port is None else f"port {port}"
        raise NotFound(
            "none of your emulators is running", where=where, hint="podctl emulator start"
        )
    if len(matching) > 1:
        raise UsageError(
            f"{len(matching)} of your emulators are running",
            cause=", ".join(file.base_url for file in matching),
            hint=f"name one: --port {matching[0].base_url.rpartition(':')[2]}",
        )
    return matching[0]


def emulator_of_project() -> EmulatorFile | None:
    """The emulator that this project's commands use, or the one in its usual state folder."""
    from controller.providers import emulator_keys

    try:
        project = find()
    except NotFound:
        return None
    for folder in (project.state_dir, usual_state_folder(project)):
        found = emulator_keys.read(folder / emulator_keys.FILE)
        if found is not None and found.alive:
            return found
    return None


def current_project_if_any() -> Project | None:
    try:
        project = find()
    except NotFound:
        return None
    project.prepare()
    return project


def usual_state_folder(project: Project | None) -> Path:
    """The project's emulator folder, or the user's outside of a project."""
    from controller.user_state import folder

    return project.state_dir / "emulator" if project is not None else folder() / "emulator"
