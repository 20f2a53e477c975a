"""Links that are slow or lose packets: transfers take their time, arrive, and disturb nobody."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from controller.ssh.session import Session, Timing
from controller.transfer.download import pull
from controller.transfer.upload import upload_code
from remote.contract import Layout
from tests.support.pod_files import MB, content, tree, wrote
from tests.support.sshd_server import Server, needs_sshd, sshd
from tests.support.tcp_proxy import Proxy

pytestmark = needs_sshd
NEW_NETWORK = 0x4000_0000  # CLONE_NEWNET
LOSSY = ("tbf", "rate", "2mbit", "burst", "3000", "limit", "6000")


def test_row_47_two_seconds_and_64_kbit_are_slow_and_enough(
    server: Server, session: Session, layout: Layout, tmp_path: Path
) -> None:
    """At a round trip of 2 seconds and 8 kB/s a pull completes over one connection, whose keepalive
    of a few seconds takes the slowness for no black hole."""
    files = {"log": content(1, 9_000), "trainer_state.json": b'{"step": 1}\n' * 500}
    manifest = wrote(layout, files)
    code = upload_code(session, layout.root)
    timing = Timing(alive_seconds=1.5, alive_count=4)
    with (
        Proxy(server.endpoint.port, delay=1.0, rate=8_000.0) as proxy,
        server.connect(proxy.port, timing) as slow,
    ):
        pull(slow, layout, "r", manifest, tmp_path / "in", code=code)
        used, alive = proxy.accepted, slow.alive

    assert tree(tmp_path / "in") == files
    assert (used, alive) == (1, True)


def test_row_47_bulk_does_not_hold_up_the_look_at_the_job(
    server: Server, layout: Layout, tmp_path: Path
) -> None:
    """While large files fill the link, the connection that asks how the job is stays free, and the
    pod's guard sees that somebody is there."""
    manifest = wrote(layout, {f"{i}.bin": content(i, 9 * MB) for i in range(2)})
    beat = server.root / "run/podctl/beat"
    with server.connect() as session, ThreadPoolExecutor(1) as pool:
        code = upload_code(session, layout.root)
        start = time.time()
        pulled = pool.submit(
            pull, session, layout, "r", manifest, tmp_path / "in", code=code, rate_limit=6.0 * MB
        )
        answers = []
        while not pulled.done():
            answers.append(session.run(["true"]).status)
        pulled.result()

    assert len(answers) >= 2
    assert set(answers) == {0}
    assert beat.stat().st_mtime >= start - 1


@contextmanager
def lossy_network() -> Iterator[None]:
    """This thread, and what it starts, in a network whose queue drops what does not fit."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    if libc.unshare(NEW_NETWORK):
        pytest.skip("this machine gives no network of its own")
    try:
        for argv in (
            ["ip", "link", "set", "lo", "mtu", "1500", "up"],
            ["tc", "qdisc", "add", "dev", "lo", "root", *LOSSY],
        ):
            if subprocess.run(argv, check=False, capture_output=True).returncode:
                pytest.skip(f"this machine has no {argv[0]} {argv[1]}")
        yield
    finally:
        libc.setns(before, NEW_NETWORK)
        os.close(before)


def dropped() -> int:
    shown = subprocess.run(
        ["tc", "-s", "qdisc", "show", "dev", "lo"], check=True, capture_output=True, text=True
    )
    return int(shown.stdout.partition("dropped ")[2].split(",")[0])


@pytest.mark.skipif(
    os.geteuid() != 0 or not (shutil.which("tc") and shutil.which("ip")),
    reason="a network that loses packets needs root, ip and tc",
)
def test_row_47_a_network_that_loses_packets(tmp_path: Path) -> None:
    """Where packets are dropped all the time the files arrive whole, only later."""
    files = {f"s/{i}": content(i, 20_000) for i in range(20)}
    with lossy_network(), sshd(tmp_path / "pod") as server, server.connect() as session:
        layout = session.layout("/w")
        manifest = wrote(layout, files)
        pull(session, layout, "r", manifest, tmp_path / "in")
        lost = dropped()

    assert tree(tmp_path / "in") == files
    assert lost > 0
