"""Limits of this machine as errors: open files, threads and processes, memory.

Where they are reached they look like a network failure or a bug; they are neither, and a retry does
not help.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

from controller.errors import PodctlError

_AGAIN = "then repeat the command; running pods are not affected"


class LocalLimit(PodctlError):
    """A resource of this machine, or a limit set for this process, is exhausted."""

    code = "local-limit"


def local_limit(error: BaseException) -> LocalLimit | None:
    """`error` as the limit that was reached; None when it is not about a limit."""
    if isinstance(error, MemoryError) or _number(error) == errno.ENOMEM:
        return _limit("memory", "ulimit -v", error)
    if _number(error) in (errno.EMFILE, errno.ENFILE):
        return _limit("open-file", "ulimit -n", error)
    # A thread or a process that cannot be made; the interpreter gives only a message.
    if "can't start new thread" in str(error) or _number(error) == errno.EAGAIN:
        return _limit("thread and process", "ulimit -u", error)
    return None


@contextlib.contextmanager
def translate_os_limits() -> Iterator[None]:
    """Raise LocalLimit for an exhausted resource; other exceptions pass unchanged."""
    try:
        yield
    except (OSError, MemoryError, RuntimeError) as error:
        limit = local_limit(error)
        if limit is None:
            raise
        raise limit from error


def _number(error: BaseException) -> int | None:
    return error.errno if isinstance(error, OSError) else None


def _limit(what: str, limit: str, error: BaseException) -> LocalLimit:
    return LocalLimit(
        f"{what} limit reached ({limit})",
        cause=str(error) or type(error).__name__,
        hint=f"raise the limit ({limit}) or close other programs, {_AGAIN}",
    )
