"""A terminal on a pod: a real pty on both sides, over a real sshd."""

from __future__ import annotations

import os
import pty
import sys
from pathlib import Path

from tests.support.sshd_server import Server, needs_sshd

pytestmark = needs_sshd

# Connects as podctl does, and gives its own terminal to the command.
PROGRAM = """
import sys
from pathlib import Path
from controller.providers.base import Endpoint
from controller.ssh.console import interact
from controller.ssh.host_keys import PinnedKeys
from controller.ssh.session import Session
host, port, user, key, pins, *words = sys.argv[1:]
place, pinned = Endpoint(host, int(port), user), PinnedKeys(Path(pins), "pod1")
with Session.connect(place, Path(key), pinned) as s:
    sys.exit(interact(s, words, None))
"""


def on_terminal(server: Server, words: list[str], typed: bytes) -> tuple[int, str]:
    """(status, screen) of a command that was given a terminal on which `typed` was typed."""
    endpoint = server.endpoint
    argv = [
        *(sys.executable, "-c", PROGRAM, endpoint.host, str(endpoint.port), endpoint.user),
        *(str(server.key.path), str(server.folder / "client" / "known_hosts"), *words),
    ]
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(Path(__file__).resolve().parents[3])
        os.execv(argv[0], argv)
    screen = b""
    asked = False
    try:
        while data := os.read(terminal, 65536):
            screen += data
            if not asked and b"name? " in screen:
                os.write(terminal, typed)
                asked = True
    except OSError:  # the other side has closed it
        pass
    _, status = os.waitpid(child, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), screen.decode()


def test_a_command_has_a_terminal_and_what_is_typed_reaches_it(server: Server) -> None:
    """Its answer and its exit status come back."""
    script = 'test -t 0 && test -t 1 && printf "name? " && read name && echo "hello, $name"; exit 5'

    status, screen = on_terminal(server, ["sh", "-c", script], b"Ada\n")

    assert "hello, Ada" in screen
    assert status == 5
