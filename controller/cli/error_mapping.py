"""A provider's or the state's error as the error a user reacts to, with its exit code."""

from __future__ import annotations

import errno

from controller.errors import Busy, ConnectionLost, NoCapacity, PodctlError, Refused
from state.errors import Fenced, OwnedElsewhere, StateError

# What a disk says, and what to do about it.
_DISK = {
    errno.ENOSPC: ("the disk here takes no more", "free some space"),
    errno.EDQUOT: ("the disk here takes no more", "free some space"),
    errno.EROFS: ("the disk here cannot be written", "mount it writable"),
    errno.EIO: ("the disk here fails", "mend the disk"),
}


def reaction(error: PodctlError | StateError) -> PodctlError:
    """`error`, or the one with the fitting exit code and next command."""
    if isinstance(error, StateError):
        kind = Busy if isinstance(error, OwnedElsewhere | Fenced) else PodctlError
        return kind(error.what, where=".podctl", hint=error.hint)
    if error.code != "provider":
        return error
    return _provider(error)


def shortage(error: Exception) -> PodctlError | None:
    """What this machine gives no more of: disk, memory, open files, threads. None: something else.

    Whatever was begun is in the journal: the same command goes on from there.
    """
    from controller.errors import local_limit

    if isinstance(error, OSError) and error.errno in _DISK:
        what, mend = _DISK[error.errno]
        return PodctlError(
            what,
            where=str(error.filename or ""),
            cause=error.strerror or "",
            hint=f"{mend}, then repeat the command: what runs on pods goes on",
        )
    return local_limit(error)


def _provider(error: PodctlError) -> PodctlError:
    from controller.providers.base import Kind, ProviderError

    assert isinstance(error, ProviderError)
    kinds: dict[Kind, tuple[type[PodctlError], str]] = {
        Kind.REFUSED: (Refused, "podctl doctor"),
        Kind.CAPACITY: (NoCapacity, "podctl gpus"),
        Kind.CONFLICT: (PodctlError, "podctl status"),
        Kind.THROTTLED: (ConnectionLost, "wait a minute and repeat the command"),
        Kind.OUTAGE: (ConnectionLost, "repeat the command when the provider has mended it"),
        Kind.TRANSIENT: (ConnectionLost, "podctl doctor; podctl status --cached"),
    }
    kind, hint = kinds[error.kind]
    return kind(error.what, where=error.where, cause=error.cause, hint=error.hint or hint)
