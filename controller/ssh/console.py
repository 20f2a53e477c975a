"""The user's terminal on a pod: a command with a pty, or a login shell.

Bytes pass unchanged in both directions, as with `ssh -t`. The channel belongs to fabric's
connection, but fabric's own `run(pty=True)` is not used: it keeps all output in memory, decodes
what it reads, asks for a vt100, and leaves the local terminal in a mode where Ctrl-Z stops podctl.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import shutil
import signal
import sys
import termios
import tty
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from controller.ssh.command_line import command_line
from controller.ssh.connect import FAILURES
from controller.ssh.pseudo_terminal import Pty
from controller.ssh.session import Session

if TYPE_CHECKING:
    import paramiko

SHELL = ("sh", "-c", 'exec "${SHELL:-/bin/bash}" -l 2>/dev/null || exec sh -l')
_LOG = logging.getLogger("podctl.ssh")
SIGNALLED = 128  # the exit status when a signal ended the command on the pod
CHUNK = 2**15  # bytes
STATUS_SECONDS = 10.0  # for the exit status, after the output has ended
FULL_SECONDS = 0.05  # between two attempts to send when the pod reads nothing


def interact(session: Session, argv: Sequence[str] | None, cwd: str | None) -> int:
    """Run `argv`, or a login shell, on the pod with this process's terminal as its own.

    Returns the exit status. Raises SessionRefused when sshd gives no terminal, Unreachable when the
    connection is lost meanwhile. Standard input and output must be terminals.
    """
    line = command_line(SHELL if argv is None else argv, cwd)
    _LOG.info("%s: started on a terminal: %s", session, line)
    keyboard, screen = sys.stdin.fileno(), sys.stdout.fileno()
    size = shutil.get_terminal_size()
    pty = Pty(os.environ.get("TERM") or "vt100", size.columns, size.lines)
    channel = session.open_terminal(line, pty)
    sys.stdout.flush()
    try:
        with contextlib.closing(channel), _raw(keyboard), _resizes() as resized:
            _relay(channel, keyboard, screen, resized)
            channel.status_event.wait(STATUS_SECONDS)
    except FAILURES as error:
        raise session.unreachable(error) from error
    if channel.exit_status < 0 and session.lost():
        raise session.unreachable(None)
    status = channel.exit_status
    _LOG.info("%s: status %d: %s", session, status, line)
    return status if status >= 0 else SIGNALLED


@contextlib.contextmanager
def _raw(keyboard: int) -> Iterator[None]:
    """Put the terminal into raw mode, so that every key reaches the pod; restore it at the end."""
    before = termios.tcgetattr(keyboard)
    tty.setraw(keyboard, termios.TCSADRAIN)
    try:
        yield
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


@contextlib.contextmanager
def _resizes() -> Iterator[int]:
    """A file descriptor that becomes readable when the window changes its size.

    The signal handler only writes to a pipe: paramiko's locks do not allow it to send a message.
    """
    reading, writing = os.pipe()
    before = signal.signal(signal.SIGWINCH, lambda *_: os.write(writing, b"w") and None)
    try:
        yield reading
    finally:
        signal.signal(signal.SIGWINCH, before)
        os.close(reading)
        os.close(writing)


def _relay(channel: paramiko.Channel, keyboard: int, screen: int, resized: int) -> None:
    """Pass bytes both ways until the command's output, or this terminal, has ended."""
    pending, open_sources = b"", {keyboard}
    while True:
        if pending and channel.send_ready():
            pending = pending[channel.send(pending) :]
        # Nothing more is read from the keyboard until the pod has accepted the pending bytes.
        waiting = [channel, resized, *(() if pending else open_sources)]
        ready, _, _ = select.select(waiting, [], [], FULL_SECONDS if pending else None)
        if resized in ready:
            os.read(resized, CHUNK)
            channel.resize_pty(*shutil.get_terminal_size())
        if channel in ready and not _show(channel.recv(CHUNK), screen):
            return
        if keyboard in ready:
            pending = os.read(keyboard, CHUNK)
            if not pending:
                open_sources.clear()
                channel.shutdown_write()


def _show(data: bytes, screen: int) -> bool:
    """Write `data` to the screen. Returns False at the end of the output or of the terminal."""
    remaining = memoryview(data)
    while remaining:
        try:
            remaining = remaining[os.write(screen, remaining) :]
        except OSError:  # the terminal is gone
            return False
    return bool(data)
