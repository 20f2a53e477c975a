"""The user's terminal on a pod, by fabric: a command with a pty, or a shell.

Bytes pass as they are in both directions, as with `ssh -t`; window size, Ctrl-C and the terminal's
state are fabric's business.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from controller.ssh.connect import FAILURES
from controller.ssh.session import Session, command_line

if TYPE_CHECKING:
    from fabric import Connection

SHELL = ("sh", "-c", 'exec "${SHELL:-/bin/bash}" -l 2>/dev/null || exec sh -l')
_LOG = logging.getLogger("podctl.ssh")
SIGNALLED = 128  # the status when a signal ended the command there


def interact(session: Session, argv: Sequence[str] | None, cwd: str | None) -> int:
    """Run `argv`, or a login shell, with this process's terminal as its own.

    Returns the exit status. Raises Unreachable when the connection is lost meanwhile.
    """
    from invoke.exceptions import ThreadException

    line = command_line(SHELL if argv is None else argv, cwd)
    _LOG.info("%s: started on a terminal: %s", session, line)
    try:
        status = _run(session.control(), line)
    except (*FAILURES, ThreadException) as error:
        raise session.unreachable(error) from error
    if session.lost():
        raise session.unreachable(None)
    _LOG.info("%s: status %d: %s", session, status, line)
    return status if status >= 0 else SIGNALLED


def _run(connection: Connection, line: str) -> int:
    result = connection.run(line, pty=True, warn=True, hide=False)
    return int(result.exited)
