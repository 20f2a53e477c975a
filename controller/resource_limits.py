"""Limits of this machine, told by their names: open files, threads and processes, memory.

They look like a dead network or a mistake of ours from where they strike; they are neither, and
trying again does not mend them.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

from controller.errors import PodctlError

_AGAIN = "then repeat the command: what runs on pods goes on"


class LocalLimit(PodctlError):
    """This machine, or a limit that was set for us, gives no more of something."""

    code = "local-limit"


def local_limit(error: BaseException) -> LocalLimit | None:
    """`error` as the limit that it is; None when it is no limit."""
    if isinstance(error, MemoryError) or _number(error) == errno.ENOMEM:
        return _told("memory", "ulimit -v", error)
    if _number(error) in (errno.EMFILE, errno.ENFILE):
        return _told("open files", "ulimit -n", error)
    # A thread or a process that cannot be made; the interpreter says so in words only.
    if "can't start new thread" in str(error) or _number(error) == errno.EAGAIN:
        return _told("threads and processes", "ulimit -u", error)
    return None


@contextlib.contextmanager
def translate_os_limits() -> Iterator[None]:
    """Raises LocalLimit for what is one; everything else passes as it is."""
    try:
        yield
    except (OSError, MemoryError, RuntimeError) as error:
        told = local_limit(error)
        if told is None:
            raise
        raise told from error


def _number(error: BaseException) -> int | None:
    return error.errno if isinstance(error, OSError) else None


def _told(what: str, limit: str, error: BaseException) -> LocalLimit:
    return LocalLimit(
        f"this machine gives podctl no more {what}",
        cause=str(error) or type(error).__name__,
        hint=f"raise the limit ({limit}) or close other programs, {_AGAIN}",
    )
