"""A lease with its project: the scene, and the folder, connection and locks that it works with."""

from __future__ import annotations

import os
from dataclasses import dataclass

from controller.link import Link
from controller.project import Project
from controller.scene import Scene
from state.locks import Locks


@dataclass(frozen=True, kw_only=True)
class Workshop(Scene):
    """What only the hands that really touch something need."""

    project: Project
    link: Link
    locks: Locks

    def secrets(self, run: str) -> tuple[str, ...]:
        """The values that the run's job may know and nobody else."""
        names = self.stages[run].secrets
        return tuple(os.environ[name] for name in names if os.environ.get(name))
