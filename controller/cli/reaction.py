"""A provider's error as the error a user reacts to: the kind decides the exit code."""

from __future__ import annotations

from controller.errors import ConnectionLost, NoCapacity, PodctlError, Refused


def reaction(error: PodctlError) -> PodctlError:
    """`error`, or for a provider's error the one with the fitting exit code and next command."""
    if error.code != "provider":
        return error
    from controller.providers import Kind, ProviderError

    assert isinstance(error, ProviderError)
    kinds: dict[Kind, tuple[type[PodctlError], str]] = {
        Kind.REFUSED: (Refused, "podctl doctor"),
        Kind.CAPACITY: (NoCapacity, "podctl gpus"),
        Kind.CONFLICT: (PodctlError, "podctl status"),
        Kind.THROTTLED: (ConnectionLost, "wait a minute and repeat the command"),
        Kind.TRANSIENT: (ConnectionLost, "podctl doctor; podctl status --cached"),
    }
    kind, hint = kinds[error.kind]
    return kind(error.what, where=error.where, cause=error.cause, hint=error.hint or hint)
