"""The outcome of a job, saved before its outputs are hashed, so that a crash cannot lose it."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from ..light_dataclasses import dataclass, field, replace
from .paths import record, write_record

RC_OF = {"budget": 124, "stalled": 124, "stopped": 143}  # when the job itself returned 0


@dataclass(frozen=True)
class Outcome:
    """`rc`, `reason` and `detail` as in `Exit`. rc is 0 only when the job ended by itself."""

    rc: int
    reason: str
    detail: str
    started_at: float = 0.0  # Unix seconds; 0 when not known yet
    at: float = field(default_factory=time.time)

    def save(self, run: Path) -> None:
        """Save the outcome; a later attempt then only hashes and commits."""
        write_record(run / "outcome.json", vars(self))

    @classmethod
    def saved(cls, run: Path) -> Outcome | None:
        """The outcome of an earlier attempt that died before its commit; None without one."""
        document = record(run / "outcome.json")
        if document is None:
            return None
        try:
            return cls(
                int(document["rc"]),
                str(document["reason"]),
                str(document["detail"]),
                float(document["started_at"]),
                float(document["at"]),
            )
        except (KeyError, TypeError, ArithmeticError, ValueError):
            return None

    def on_disk(self, full: bool) -> Outcome:
        """The outcome with reason `disk-full` if the job failed while the volume was full."""
        if not full or self.reason != "exited" or self.rc == 0:
            return self
        return replace(self, reason="disk-full", detail=f"the volume is full; {self.detail}")


def ended(returncode: int, kills_before: int | None, kills_after: int | None) -> Outcome:
    """The job ended by itself, or something else killed it."""
    if returncode >= 0:
        return Outcome(returncode, "exited", "" if returncode == 0 else f"exit code {returncode}")
    number = -returncode
    try:
        text = f"killed by {signal.Signals(number).name}"
    except ValueError:
        text = f"killed by signal {number}"
    if kills_before is not None and kills_after is not None and kills_after > kills_before:
        text += ": the kernel ended it for want of memory"
    return Outcome(128 + number, "signal", text)


def halted(halt: StopJob, returncode: int | None) -> Outcome:
    """The outcome of a job that podctl ended; never a success, whatever the job returned."""
    rc = 143 if returncode is None else returncode if returncode >= 0 else 128 - returncode
    return Outcome(rc or RC_OF.get(halt.reason, 1), halt.reason, halt.detail)


class StopJob(Exception):
    """The job is to end. `reason` is one of `Exit.reason`, or "evicted" or "superseded"."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail

    @property
    def resumable(self) -> bool:
        """Whether the next start resumes from the last checkpoint."""
        return self.reason in ("evicted", "superseded")
