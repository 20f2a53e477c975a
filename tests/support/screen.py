"""A command on a terminal: a real pty whose other side the test reads and types on."""

from __future__ import annotations

import os
import pty
from collections.abc import Mapping, Sequence
from pathlib import Path


def on_terminal(
    argv: Sequence[str],
    prompt: bytes,
    typed: bytes,
    folder: Path,
    environment: Mapping[str, str] | None = None,
) -> tuple[int, str]:
    """Run `argv` in `folder`, type `typed` once `prompt` is shown.

    Returns its exit code and all that the screen showed.
    """
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.execve(argv[0], list(argv), {**os.environ, **(environment or {})})
    screen, answered = bytearray(), False
    try:
        while data := os.read(terminal, 65536):
            screen += data
            if not answered and prompt in screen:
                os.write(terminal, typed)
                answered = True
    except OSError:  # the command has closed its side
        pass
    _, status = os.waitpid(child, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), screen.decode()


def read_until(terminal: int, mark: bytes) -> bytes:
    """All that a terminal shows up to `mark`, which is not returned."""
    shown = bytearray()
    while mark not in shown:
        shown += os.read(terminal, 65536)
    return bytes(shown.partition(mark)[0])
