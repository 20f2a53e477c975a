"""Errors as data: what happened, where, the likely cause, the next command.

There is one class for each different reaction of the user. The exit code belongs to the class; the
README and `podctl --help` document it.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from typing import ClassVar


class PodctlError(Exception):
    """An error that podctl can explain. The process ends with `exit_code`."""

    exit_code: ClassVar[int] = 1
    code: ClassVar[str] = "failed"

    def __init__(self, what: str, *, where: str = "", cause: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.cause = cause
        self.hint = hint  # the next command to type, or the thing to change

    def as_dict(self) -> dict[str, str | int]:
        """The error as `--json` prints it."""
        return {
            "code": self.code,
            "exit_code": self.exit_code,
            "what": self.what,
            "where": self.where,
            "cause": self.cause,
            "hint": self.hint,
        }


class InternalError(PodctlError):
    """A bug in podctl: an exception that no code expected."""

    code = "internal"


class UsageError(PodctlError):
    """The command line or podctl.toml is invalid."""

    exit_code = 2
    code = "usage"


class NotFound(PodctlError):
    """There is no such stage, run, pod, file or input."""

    exit_code = 3
    code = "not-found"


class Locked(PodctlError):
    """The stage has passed and is locked, so that it is not run again by accident."""

    exit_code = 4
    code = "locked"


class VerificationFailed(PodctlError):
    """Local artifacts do not match their hashes, or a criterion failed."""

    exit_code = 5
    code = "verification-failed"


class BudgetRefused(PodctlError):
    """The worst case exceeds the budget or the balance; nothing was rented."""

    exit_code = 6
    code = "budget-refused"


class ArtifactsNotSafe(PodctlError):
    """Some files are only on the pod, so podctl does not terminate it."""

    exit_code = 7
    code = "artifacts-not-safe"


class ConnectionLost(PodctlError):
    """The pod or the provider does not respond; the state of the job is unknown, never assumed."""

    exit_code = 8
    code = "connection-lost"


class Paused(ConnectionLost):
    """A long transfer was interrupted to observe pod and provider; it resumes where it stopped."""

    code = "paused"


class NoCapacity(PodctlError):
    """No accepted GPU type could be rented."""

    exit_code = 9
    code = "no-capacity"


class Refused(PodctlError):
    """The provider rejected the request permanently: key, request or balance."""

    exit_code = 10
    code = "refused"


class TimeUp(PodctlError):
    """A job used up its `max_hours` or its run's budget; its saved files were downloaded."""

    exit_code = 11
    code = "time-up"


class Busy(PodctlError):
    """Another podctl process controls this project (EX_TEMPFAIL); the message names it."""

    exit_code = 75
    code = "busy"


class Detached(PodctlError):
    """The user detached; job and pod keep running (128 + SIGINT)."""

    exit_code = 130
    code = "detached"


class DetachedAsAsked(Detached):
    """The job runs, so that the command returns as `--detach` says; this is no failure."""

    exit_code = 0


class LocalLimit(PodctlError):
    """A resource limit of this machine: open files, threads and processes, or memory.

    From where it strikes it looks like a dead network; repeating the command does not help.
    """

    code = "local-limit"


def local_limit(error: BaseException) -> LocalLimit | None:
    """`error` as the resource limit that it reports; None for any other error."""
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, MemoryError) or number == errno.ENOMEM:
        return _limit_error("memory limit", "ulimit -v", error)
    if number in (errno.EMFILE, errno.ENFILE):
        return _limit_error("open-file limit", "ulimit -n", error)
    # A thread that cannot be started has no errno: the interpreter raises a RuntimeError.
    if "can't start new thread" in str(error) or number == errno.EAGAIN:
        return _limit_error("limit of threads and processes", "ulimit -u", error)
    return None


@contextlib.contextmanager
def translate_os_limits() -> Iterator[None]:
    """Raises LocalLimit for an error that a resource limit caused; others pass unchanged."""
    try:
        yield
    except (OSError, MemoryError, RuntimeError) as error:
        limit = local_limit(error)
        if limit is None:
            raise
        raise limit from error


def _limit_error(limit: str, command: str, error: BaseException) -> LocalLimit:
    return LocalLimit(
        f"{limit} reached ({command})",
        cause=str(error) or type(error).__name__,
        hint=f"raise the limit ({command}) or close other programs, then repeat the command; "
        "running pods are not affected",
    )
