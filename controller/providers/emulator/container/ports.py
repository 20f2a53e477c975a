"""Public ports of pods, on the loopback interface."""

from __future__ import annotations

import random
import socket
from collections.abc import Container

# Below the range from which the kernel takes ports for outgoing connections.
FIRST, LAST = 20_000, 31_999
HOST = "127.0.0.1"


def free_port(avoid: Container[int]) -> int:
    """A port that is free now and not in `avoid`."""
    for _ in range(1000):
        port = random.randint(FIRST, LAST)  # noqa: S311 - not a secret
        if port not in avoid and _bindable(port):
            return port
    raise OSError(f"no free port between {FIRST} and {LAST}")


def _bindable(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
