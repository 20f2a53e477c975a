"""Maps errors of the provider, the state and the machine to errors with an exit code."""

from __future__ import annotations

import errno
from pathlib import Path

from controller.errors import (
    Busy,
    ConnectionLost,
    InternalError,
    NoCapacity,
    PodctlError,
    Refused,
)
from controller.incident import Incident
from state.errors import Fenced, OwnedElsewhere, StateError

# Disk errors, and the remedy for each.
_DISK = {
    errno.ENOSPC: ("the local disk is full", "free some space"),
    errno.EDQUOT: ("the local disk is full", "free some space"),
    errno.EROFS: ("the local disk is read-only", "mount it writable"),
    errno.EIO: ("the local disk reports an I/O error", "repair or replace the disk"),
}


def user_error(error: PodctlError | StateError) -> PodctlError:
    """`error` itself, or an error with the right exit code and next command."""
    if isinstance(error, StateError):
        kind = Busy if isinstance(error, OwnedElsewhere | Fenced) else PodctlError
        return kind(error.what, where=".podctl", hint=error.hint)
    if error.code != "provider":
        return error
    return _provider(error)


def shortage(error: Exception) -> PodctlError | None:
    """`error` as an exhausted local resource: disk, memory, open files, threads; else None.

    Started work is in the journal, so the same command resumes it.
    """
    from controller.errors import local_limit

    if isinstance(error, OSError) and error.errno in _DISK:
        what, remedy = _DISK[error.errno]
        return PodctlError(
            what,
            where=str(error.filename or ""),
            cause=error.strerror or "",
            hint=f"{remedy}, then repeat the command; running pods are not affected",
        )
    return local_limit(error)


def internal_error(found: Incident, log: Path | None) -> InternalError:
    """A bug of podctl's own as an error of three lines; `log` is the file with its traceback."""
    where = f" ({found.where})" if found.where else ""
    return InternalError(
        f"internal error (please report it): {found.kind}: {found.message}{where}",
        cause="this is a bug in podctl; running pods are not affected",
        hint=f"report it with the file {log}, which has the traceback"
        if log is not None
        else "repeat the command with PODCTL_DEBUG=1 and report it with the traceback",
    )


def _provider(error: PodctlError) -> PodctlError:
    from controller.providers.base import Kind, ProviderError

    assert isinstance(error, ProviderError)
    kinds: dict[Kind, tuple[type[PodctlError], str]] = {
        Kind.REFUSED: (Refused, "podctl doctor"),
        Kind.CAPACITY: (NoCapacity, "podctl gpus"),
        Kind.CONFLICT: (PodctlError, "podctl status"),
        Kind.THROTTLED: (ConnectionLost, "wait a minute and repeat the command"),
        Kind.OUTAGE: (ConnectionLost, "repeat the command when the provider is available again"),
        Kind.TRANSIENT: (ConnectionLost, "podctl doctor; podctl status --cached"),
    }
    kind, hint = kinds[error.kind]
    return kind(error.what, where=error.where, cause=error.cause, hint=error.hint or hint)
