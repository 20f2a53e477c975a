"""What the guard is told about the job: until when it may run, and when it ended.

Container-local and bound to this boot, so that a lease from before a restart means nothing.
"""

from __future__ import annotations

import contextlib
import time

from ..contract import JobSpec
from ..light_dataclasses import dataclass, replace
from ..pod.paths import PodPaths, write_record

HASHING_SECONDS = 900.0  # after the job's end, and after each byte hashed, for its manifest
RENEW_SECONDS = 60.0  # between two writes of the lease while bytes are hashed


@dataclass(frozen=True)
class DeadlineRecord:
    """Times by the monotonic clock of this boot."""

    boot_id: str
    run: str
    attempt: int
    deadline: float
    ended: float | None
    grace_done: float  # seconds after the end for somebody to come


@dataclass
class GuardDeadline:
    """The lease file of this container."""

    paths: PodPaths
    terms: DeadlineRecord

    @classmethod
    def of(cls, paths: PodPaths, spec: JobSpec, boot_id: str, attempt: int) -> GuardDeadline:
        """Grant the declared budget from now on, and what ending the job politely may take."""
        slack = min(600.0, max(1.0, spec.max_seconds / 10))
        deadline = time.monotonic() + spec.max_seconds + spec.term_grace_seconds + slack
        lease = cls(
            paths,
            DeadlineRecord(boot_id, spec.run, attempt, deadline, None, spec.grace_done_seconds),
        )
        lease._write()
        return lease

    def hashing(self) -> None:
        self.terms = replace(self.terms, deadline=time.monotonic() + HASHING_SECONDS)
        self._write()

    def hashed(self) -> None:
        """Some bytes were: however many there are, only a standstill is stopped before the end."""
        if time.monotonic() + HASHING_SECONDS - self.terms.deadline >= RENEW_SECONDS:
            self.hashing()

    def ended(self) -> None:
        self.terms = replace(self.terms, ended=time.monotonic())
        self._write()

    def _write(self) -> None:
        # Without a lease the guard only grows stricter; the job does not fail for it.
        with contextlib.suppress(OSError):
            write_record(self.paths.lease, vars(self.terms), sync=False)
