"""An SSH server that lets everybody in, opens channels, answers keepalives, and runs nothing."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import paramiko
from paramiko.common import MSG_CHANNEL_REQUEST

from controller.providers.base import Endpoint


class _Anybody(paramiko.ServerInterface):
    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return paramiko.AUTH_SUCCESSFUL

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED


@contextmanager
def deaf_sshd() -> Iterator[Endpoint]:
    """Serve one connection until the block ends: what a channel requests gets no answer."""
    key = paramiko.RSAKey.generate(2048)
    served: list[paramiko.Transport] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            transport = paramiko.Transport(listening.accept()[0])
            served.append(transport)
            transport.add_server_key(key)
            handlers = dict(transport._channel_handler_table)
            handlers[MSG_CHANNEL_REQUEST] = lambda channel, message: None
            transport._channel_handler_table = handlers
            transport.start_server(event=threading.Event(), server=_Anybody())

        threading.Thread(target=serve, daemon=True).start()
        yield Endpoint("127.0.0.1", listening.getsockname()[1], "root")
    for transport in served:
        transport.close()
