"""The port through which the loop works on a pod and on the project's files."""

from __future__ import annotations

from typing import Protocol

from controller.engine.outcomes import JudgedRun, LockedRun, PulledRun, UploadedRun
from controller.planner.lease_state import RunFacts
from controller.planner.observation import Contact
from controller.providers.base import Endpoint


class JobRuntime(Protocol):
    """Runs one lease's jobs. Every call has its own time limit.

    `ask` never raises: whatever keeps a pod from answering is part of the Contact. The others raise
    PodctlError; after a ConnectionLost the order may or may not have been carried out.
    """

    def ask(self, pod: str, endpoint: Endpoint, run: RunFacts, pause: float = 0.0) -> Contact:
        """What the pod reports about `run`; also appends to the local copy of the job's log.

        With `pause` the answer comes once it differs from the one before, or after so many seconds.
        """
        ...

    def upload(self, run: str) -> UploadedRun:
        """Upload code and inputs to the pod. May be called again."""
        ...

    def start(self, run: str, *, again: bool) -> int:
        """Start the job at most once, even if the answer is lost; returns the attempt's number."""
        ...

    def stop(self, run: str, reason: str) -> None:
        """Ask the job to write a checkpoint and exit."""
        ...

    def keep_warm(self, pod: str, endpoint: Endpoint, run: str, seconds: float, then: str) -> float:
        """Have the pod's guard end it after `seconds`; `then` is terminate or park.

        Returns the seconds until then, fewer where its hard cap comes first. Also raises
        PodctlError where no guard that podctl trusts would end it.
        """
        ...

    def pull_ready(self, run: str) -> None:
        """Pull finished files while the job runs."""
        ...

    def pull(self, run: str, contact: Contact) -> PulledRun:
        """Pull every declared artifact and verify it against the manifest."""
        ...

    def kept_until(self, run: str) -> float | None:
        """Unix time of the newest local file of `run`; None when there is none."""
        ...

    def judge(self, run: str) -> JudgedRun:
        """Evaluate the stage's criteria on the local files."""
        ...

    def lock(self, run: str) -> LockedRun:
        """Install the artifacts, certify them, make them read-only. May be called again."""
        ...

    def drop(self) -> None:
        """Close the connection; the next call opens another."""
        ...
