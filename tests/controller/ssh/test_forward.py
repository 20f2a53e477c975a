"""Ports of this machine that lead to ports of a pod, over a real sshd."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest

from controller.errors import UsageError
from controller.ssh.forward import Forward
from controller.ssh.session import Session
from tests.support.emulated_cloud import until
from tests.support.sshd_server import Server, free_port, needs_sshd

pytestmark = needs_sshd


@pytest.fixture
def control(server: Server) -> Session:
    return server.connect()


def echo_once(listener: socket.socket) -> None:
    """Send back all that one client sent, once it has sent everything."""
    client, _ = listener.accept()
    with client:
        received = b""
        while data := client.recv(65536):
            received += data
        client.sendall(received[::-1])


def ask(port: int, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        received = b""
        with contextlib.suppress(ConnectionResetError):  # closed before it was read
            while part := client.recv(65536):
                received += part
        return received


def test_bytes_pass_both_ways_and_a_half_closed_client_gets_its_answer(control: Session) -> None:
    """A request of a megabyte is answered after its sender has closed its half."""
    data = bytes(range(256)) * 4096
    with control, socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=echo_once, args=(listener,), daemon=True).start()
        remote = listener.getsockname()[1]
        with Forward(control.control().transport, 0, remote, pytest.fail) as forward:
            response = ask(forward.port, data)

    assert response == data[::-1]


def test_a_port_that_refuses_is_tried_again_for_the_next_connection(control: Session) -> None:
    """A service that comes up later is reached by the same forward."""
    refusals: list[str] = []
    remote = free_port()
    with control, Forward(control.control().transport, 0, remote, refusals.append) as forward:
        first = ask(forward.port, b"anybody?")
        until(lambda: bool(refusals))
        with socket.create_server(("127.0.0.1", remote)) as listener:
            threading.Thread(target=echo_once, args=(listener,), daemon=True).start()
            second = ask(forward.port, b"abc")

    assert first == b""
    assert second == b"cba"


def test_a_taken_local_port_is_an_error_whose_hint_takes_a_free_one(control: Session) -> None:
    """Nothing is forwarded by half."""
    with control, socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError) as raised:
            Forward(control.control().transport, port, 8888, pytest.fail)

    assert str(port) in raised.value.what
    assert "0:8888" in raised.value.hint


def test_only_this_machine_can_connect(control: Session) -> None:
    """The port listens on the loopback address alone."""
    with control, Forward(control.control().transport, 0, 8888, print) as forward:
        address = forward._listener.getsockname()

    assert address[0] == "127.0.0.1"
