"""Unexpected exceptions as data: the one place that catches everything an action may raise.

A pod bills until it is terminated, so no bug in podctl may prevent that. The loop performs its
actions through `attempt`; an exception is reported, counted and recorded.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from controller.errors import PodctlError
from state.errors import Damaged, Fenced, Newer, OwnedElsewhere

T = TypeVar("T")
LONGEST = 400  # characters of a recorded message
PACKAGES = ("controller", "jobs", "remote", "state")
# Not to be retried: another process owns the state, or it cannot be read.
NOT_OURS: tuple[type[Exception], ...] = (Fenced, OwnedElsewhere, Damaged, Newer)


@dataclass(frozen=True)
class Incident:
    """One exception: its type, its message on one line, and where in our code it came from."""

    kind: str
    message: str
    where: str
    error: BaseException = field(compare=False, repr=False)

    @property
    def text(self) -> str:
        """Type, message and place in one line; a PodctlError has its own explanation."""
        if isinstance(self.error, PodctlError):
            return self.message
        return f"{self.kind}: {self.message} ({self.where})"

    def as_dict(self) -> dict[str, str]:
        return {"type": self.kind, "message": self.message, "where": self.where}

    def as_error(self) -> PodctlError:
        """The error shown to the user; a PodctlError is returned unchanged."""
        if isinstance(self.error, PodctlError):
            return self.error
        return PodctlError(
            f"podctl could not continue: {self.kind}: {self.message}",
            where=self.where,
            cause="a bug in podctl, or an unexpected condition on this machine",
            hint="podctl sync retries; podctl stop --terminate --abandon REASON terminates the pod",
        )


def attempt(act: Callable[[], T], let_pass: tuple[type[Exception], ...] = NOT_OURS) -> T | Incident:
    """The result of `act`, or its exception as an Incident; signals and `let_pass` propagate."""
    try:
        return act()
    except let_pass:
        raise
    except Exception as error:
        return incident(error)


def incident(error: BaseException) -> Incident:
    """`error` as data."""
    message = " ".join(_message(error).split())
    if len(message) > LONGEST:
        message = message[: LONGEST - 1] + "…"
    return Incident(type(error).__name__, message, _where(error), error)


def _message(error: BaseException) -> str:
    if isinstance(error, PodctlError):
        return ": ".join(part for part in (error.what, error.where, error.cause) if part)
    return str(error) or "no message"


def _where(error: BaseException) -> str:
    """The innermost line of our own code: `controller/runtime/verify_run.py:12 in lock`."""
    frames = traceback.extract_tb(error.__traceback__)[1:]  # without `attempt` itself
    for frame in reversed(frames):
        parts = frame.filename.replace("\\", "/").split("/")
        packages = [index for index, part in enumerate(parts) if part in PACKAGES]
        if packages:
            return f"{'/'.join(parts[packages[-1] :])}:{frame.lineno} in {frame.name}"
    return frames[-1].name if frames else ""
