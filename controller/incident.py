"""What nobody foresaw, as data: the one place where whatever an action raises is caught.

A lease is a debt: no exception of podctl's own may keep it from being ended. So what the loop does
is attempted here, and what comes out instead of a result is told, counted and written down.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from controller.errors import PodctlError
from state.errors import Damaged, Fenced, Newer, OwnedElsewhere

T = TypeVar("T")
LONGEST = 400  # characters of a message that are kept
PACKAGES = ("controller", "jobs", "remote", "state")
# Not this process's to bear: somebody else owns the state, or it cannot be read at all.
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
        """All of it in one line; an error of our own explains itself."""
        if isinstance(self.error, PodctlError):
            return self.message
        return f"{self.kind}: {self.message} ({self.where})"

    def as_dict(self) -> dict[str, str]:
        return {"type": self.kind, "message": self.message, "where": self.where}

    def as_error(self) -> PodctlError:
        """The error that a user reacts to: its own where it is one of ours."""
        if isinstance(self.error, PodctlError):
            return self.error
        return PodctlError(
            f"podctl could not go on: {self.kind}: {self.message}",
            where=self.where,
            cause="a mistake of podctl's own, or something here that it did not expect",
            hint="podctl sync tries again; podctl stop --terminate --abandon REASON ends it",
        )


def attempt(act: Callable[[], T], let_pass: tuple[type[Exception], ...] = NOT_OURS) -> T | Incident:
    """What `act` returns, or what it raised; signals and `let_pass` go on up."""
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
        packages = [at for at, part in enumerate(parts) if part in PACKAGES]
        if packages:
            return f"{'/'.join(parts[packages[-1] :])}:{frame.lineno} in {frame.name}"
    return frames[-1].name if frames else ""
