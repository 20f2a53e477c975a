"""What a user does on a pod while its job runs: a command with a terminal, a forwarded port."""

from __future__ import annotations

import contextlib
import signal
import socket
import sys
import threading

from tests.support.emulated_cloud import until
from tests.support.laptop import Laptop
from tests.support.screen import on_terminal
from tests.support.sshd_server import free_port


def answer_one(listener: socket.socket) -> None:
    client, _ = listener.accept()
    with client:
        client.sendall(b"dashboard")


def ask(port: int) -> bytes:
    """What the first connection that is let in receives; nothing when it is closed at once."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        with contextlib.suppress(ConnectionResetError):
            return client.recv(100)
        return b""


def test_a_pod_gives_a_terminal_and_a_port_while_its_job_runs(laptop: Laptop) -> None:
    """`exec -t` passes keys and the status; `forward` reaches a service that starts late, ends
    with Ctrl-C, and the job does not notice."""
    laptop.write()
    with laptop.held():
        laptop.podctl("run", "hello", "-y", "--detach")
        script = 'printf "name? "; read name; echo "hello, $name, in $(basename "$PWD")"; exit 5'
        status, screen = on_terminal(
            [sys.executable, "-m", "controller", "exec", "hello", "-t", "--", "sh", "-c", script],
            b"name? ",
            b"Ada\r",
            laptop.folder,
            {"PODCTL_EMULATOR_URL": laptop.cloud.base_url},
        )
        remote = free_port()
        forward = laptop.start("forward", "hello", f"0:{remote}")
        assert forward.stdout is not None
        address, _, shown = forward.stdout.readline().strip().partition(" -> ")
        port = int(address.rpartition(":")[2])
        early = ask(port)
        with socket.create_server(("127.0.0.1", remote)) as listener:
            threading.Thread(target=answer_one, args=(listener,), daemon=True).start()
            late = until(lambda: ask(port))
        forward.send_signal(signal.SIGINT)
        _, messages = forward.communicate(timeout=30)
    laptop.podctl("sync")

    assert "hello, Ada, in work" in screen
    assert status == 5
    assert (shown, early, late) == (str(remote), b"", b"dashboard")
    assert f"port {remote} of the pod refused a connection" in messages
    assert forward.returncode == 130
    laptop.assert_done()
