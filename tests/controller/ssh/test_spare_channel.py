"""A channel that is open before its command."""

from __future__ import annotations

from pathlib import Path

import paramiko
import pytest

from controller.ssh.connect import Identity, Timing, connect
from controller.ssh.spare_channel import SpareChannel
from tests.support.sshd_server import needs_sshd, sshd

pytestmark = needs_sshd


def test_a_spare_channel_is_open_before_it_is_taken(tmp_path: Path) -> None:
    """sshd counts it as a session from the preparation on, and the taken one runs its command."""
    with sshd(tmp_path, more="MaxSessions 1\n") as server:
        identity = Identity(
            server.endpoint, server.key.path, server.pins(), Timing(), lambda: 0.0, lambda _: None
        )
        authenticated = connect(identity, 20.0)
        transport = authenticated.transport
        spare = SpareChannel(transport, wanted=True)
        spare.prepare()
        taken = spare.take(20.0)
        with pytest.raises(paramiko.ChannelException):
            transport.open_session(timeout=20.0)
        taken.exec_command("echo yes")
        said = taken.recv(10)
        taken.recv_exit_status()
        taken.close()
        authenticated.keepalive.stop()
        transport.close()

    assert said == b"yes\n"
