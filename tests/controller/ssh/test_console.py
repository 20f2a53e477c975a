"""A terminal on a pod: a real pty on both sides, over a real sshd."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.support.screen import on_terminal
from tests.support.sshd_server import Server, needs_sshd

pytestmark = needs_sshd

ROOT = Path(__file__).resolve().parents[3]
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


def interactive(server: Server, script: str, typed: bytes) -> tuple[int, str]:
    """(status, screen) of a shell script on the server; `typed` answers its prompt "name? "."""
    endpoint = server.endpoint
    argv = [
        *(sys.executable, "-c", PROGRAM, endpoint.host, str(endpoint.port), endpoint.user),
        *(str(server.key.path), str(server.folder / "client" / "known_hosts")),
        *("sh", "-c", script),
    ]
    return on_terminal(argv, b"name? ", typed, ROOT, {"TERM": "xterm-256color"})


def test_a_command_has_a_terminal_and_what_is_typed_reaches_it(server: Server) -> None:
    """Its answer and its exit status are returned; letters of two bytes arrive at once."""
    script = 'test -t 0 && test -t 1 && printf "name? " && read name && echo "hello, $name"; exit 5'

    status, screen = interactive(server, script, "Adé\r".encode())

    assert "hello, Adé" in screen
    assert status == 5


def test_the_pod_gets_the_kind_of_this_terminal(server: Server) -> None:
    """TERM is passed, so that colours and full-screen programs work."""
    _, screen = interactive(server, "echo $TERM", b"")

    assert "xterm-256color" in screen


def test_ctrl_c_interrupts_the_command_and_not_podctl(server: Server) -> None:
    """The key reaches the pod as a byte, and the command's own status is returned."""
    script = "trap 'echo interrupted; exit 9' INT; printf 'name? '; read name"

    status, screen = interactive(server, script, b"\x03")

    assert "interrupted" in screen
    assert status == 9


def test_much_output_is_shown_in_time(server: Server) -> None:
    """A megabyte, of which nothing is kept in memory."""
    status, screen = interactive(server, "head -c 1000000 /dev/zero | tr '\\0' x; echo end", b"")

    assert screen.endswith("xend\r\n")
    assert status == 0
