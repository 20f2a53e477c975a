"""A link with a delay and a rate, in a process of its own, so that it does not share our time.

`python tests/bench/link.py PORT RTT_MS MEGABITS` prints its own port
and ends with its standard input.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # a script beside the packages, not one of them

from controller.transfer.throttle import Throttle  # noqa: E402 (needs the path)
from tests.support.tcp_proxy import Proxy  # noqa: E402


class Link(Proxy):
    """`rtt` seconds there and back; `rate` bytes a second towards us, over all connections."""

    def __init__(self, target: int, rtt: float, rate: float) -> None:
        self._throttle = Throttle(rate)
        super().__init__(target, delay=rtt / 2)

    def _tamper(self, data: bytes) -> bytes:
        self._throttle.took(len(data))
        return data


@contextmanager
def link(port: int, rtt_ms: float, megabits: float) -> Iterator[int]:
    """A link to 127.0.0.1:`port`; yields the port at its near end."""
    process = open_link(port, rtt_ms, megabits)
    try:
        yield process.port
    finally:
        process.close()


class LinkProcess:
    """A link that runs until `close`."""

    def __init__(self, popen: subprocess.Popen[bytes], port: int) -> None:
        self._popen = popen
        self.port = port

    def close(self) -> None:
        self._popen.terminate()
        self._popen.wait(10)


def open_link(port: int, rtt_ms: float, megabits: float) -> LinkProcess:
    command = [sys.executable, __file__, str(port), str(rtt_ms), str(megabits)]
    popen = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert popen.stdout is not None
    return LinkProcess(popen, int(popen.stdout.readline()))


def main() -> None:
    port, rtt_ms, megabits = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
    with Link(port, rtt_ms / 1000, megabits * 1e6 / 8) as served:
        sys.stdout.write(f"{served.port}\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
