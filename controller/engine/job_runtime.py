"""The pod's side of a lease and the files here, as the loop works on them."""

from __future__ import annotations

from typing import Any, Protocol

from controller.planner.lease_state import RunFacts
from controller.planner.observation import Contact
from controller.providers.base import Endpoint


class JobRuntime(Protocol):
    """Where the work is done. Every call has its own deadline.

    Only `ask` never raises: whatever keeps a pod from answering is part of its answer. The others
    raise PodctlError; a ConnectionLost among them says that it may or may not have happened.
    """

    def ask(self, pod: str, endpoint: Endpoint, run: RunFacts) -> Contact:
        """What the pod says about `run`; follows the job's log."""
        ...

    def upload(self, run: str) -> dict[str, Any]:
        """Code and inputs to the pod; returns {code, bytes, tree}. May be called again."""
        ...

    def start(self, run: str, *, again: bool) -> int:
        """Start the job, at most once whatever the answer's fate; returns the attempt's number."""
        ...

    def stop(self, run: str, reason: str) -> None:
        """Ask the job for a checkpoint and its end."""
        ...

    def pull_ready(self, run: str) -> None:
        """Bring over what is finished while the job goes on."""
        ...

    def pull(self, run: str, contact: Contact) -> dict[str, Any]:
        """Bring every declared artifact, verified; returns {manifest_sha256, rc, reason, …}."""
        ...

    def kept_until(self, run: str) -> float | None:
        """Unix time of the newest file of `run` that is here; None when there is none."""
        ...

    def judge(self, run: str) -> dict[str, Any]:
        """The criteria on the files here: {verdict, findings}."""
        ...

    def lock(self, run: str) -> dict[str, Any]:
        """Install, certify, make read-only: {certificate_sha256}. May be called again."""
        ...

    def drop(self) -> None:
        """Forget the connection; the next call makes another."""
        ...
