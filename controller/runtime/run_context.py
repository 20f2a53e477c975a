"""The context of a lease with its project: folder, connection and locks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from controller.agent.connection import PodConnection
from controller.credentials.job_secrets import absent, secrets_of
from controller.credentials.secret import Secret
from controller.engine.lease_context import LeaseContext
from controller.errors import Paused
from controller.project.project import Project
from state.locks import Locks


@dataclass(frozen=True, kw_only=True)
class RunContext(LeaseContext):
    """The parts of the lease context that do I/O."""

    project: Project
    link: PodConnection
    locks: Locks
    stop_asked: Callable[[], bool] = lambda: False  # by another process: long transfers stop

    def heed(self) -> None:
        """Called during long transfers. Raises Paused when the next observation is due at once."""
        if self.stop_asked():
            raise Paused("a stop was requested")

    def secrets(self, run: str) -> tuple[Secret, ...]:
        """The values of the job's secrets, as far as they are set on this machine."""
        stage = self.stages[run]
        return () if absent(stage) else tuple(secrets_of(stage).values())
