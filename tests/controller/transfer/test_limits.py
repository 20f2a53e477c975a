"""Limits of this machine: each failure is loud, has its name, and leaves nothing half done."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from controller.errors import LocalLimit, local_limit
from controller.ssh.session import Session
from controller.transfer.download import pull
from controller.transfer.upload import upload_code
from remote.contract import Layout
from tests.support.pod_files import content, tree, wrote
from tests.support.sshd_server import Server, needs_sshd

ROOT = Path(__file__).resolve().parents[3]


@contextmanager
def open_files(more: int) -> Iterator[None]:
    """Let this process open `more` files beside those that it has, and not one beyond."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 1024), hard))
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        for _ in range(more):
            os.close(taken.pop())
        yield
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@needs_sshd
def test_row_42_no_more_open_files_is_not_the_network(server: Server) -> None:
    """A connection that our own limit forbids is told as that at once, not tried for minutes."""
    waits: list[float] = []
    with open_files(0), pytest.raises(LocalLimit, match="open-file limit") as raised:
        Session.connect(server.endpoint, server.key.path, server.pins(), sleep=waits.append)

    assert waits == []
    assert "ulimit -n" in raised.value.hint


@needs_sshd
def test_row_42_many_large_files_need_few_descriptors(
    session: Session, layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many large files a job wrote, few are open at a time; 200 come with 120 to spare."""
    monkeypatch.setattr("controller.transfer.download.LARGE", 100)
    monkeypatch.setattr("controller.transfer.download.WORTH_CONNECTING", 0)
    monkeypatch.setattr("controller.transfer.download.MAX_LARGE", 40)
    files = {f"shards/{i}": content(i, 1000) for i in range(200)} | {"small": b"x"}
    counts = []
    manifest = wrote(layout, files)
    with open_files(120):
        report = pull(
            session, layout, "r", manifest, tmp_path / "in", progress=counts.append, connections=2
        )

    assert tree(tmp_path / "in") == files
    assert report.files == 201
    assert (counts[-1].files_done, counts[-1].bytes_done) == (201, counts[-1].bytes_total)


@needs_sshd
def test_row_42_a_pull_without_descriptors_is_told_and_goes_on_later(
    session: Session, layout: Layout, tmp_path: Path
) -> None:
    """It ends with the limit's name; nothing half has a name here, and the next one completes."""
    files = {f"s/{i}": content(i, 30_000) for i in range(30)}
    manifest = wrote(layout, files)
    code = upload_code(session, layout.root)
    with open_files(5), pytest.raises(LocalLimit, match="open-file limit"):
        pull(session, layout, "r", manifest, tmp_path / "in", code=code)
    arrived = tree(tmp_path / "in")
    pull(session, layout, "r", manifest, tmp_path / "in")

    assert arrived.items() <= files.items()
    assert tree(tmp_path / "in") == files


SCRIPT = """
import resource, sys
from pathlib import Path
from controller.ssh.host_keys import PinnedKeys
from controller.providers.base import Endpoint
from controller.ssh.session import Session
port, user, key, store = sys.argv[1:]
pages = int(open("/proc/self/statm").read().split()[0])
room = pages * resource.getpagesize() + 6 * 2**20  # no thread's stack of 8 MiB fits
resource.setrlimit(resource.RLIMIT_AS, (room, room))
try:
    Session.connect(Endpoint("127.0.0.1", int(port), user), Path(key), PinnedKeys(Path(store), "p"))
except Exception as error:
    print(getattr(error, "code", repr(error)), str(error))
"""


@needs_sshd
def test_row_42_no_thread_and_no_memory_have_their_names(server: Server, tmp_path: Path) -> None:
    """A connection for which no thread can be started is a limit of this machine, told as one."""
    words = [str(server.endpoint.port), server.endpoint.user, str(server.key.path), "known_hosts"]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.stdout.startswith(
        "local-limit limit of threads and processes reached (ulimit -u)"
    ), done.stderr


def test_row_42_a_command_out_of_descriptors_names_them(tmp_path: Path) -> None:
    """podctl itself ends with a status and an error that names the limit, not with a traceback."""
    limited = f"ulimit -n 4; exec {sys.executable} -m controller init made --provider emulator"
    done = subprocess.run(
        ["sh", "-c", limited],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode != 0
    assert "open files" in done.stderr
    assert not (tmp_path / "made" / "podctl.toml").exists()


@pytest.mark.parametrize("error", [ValueError("x"), OSError(2, "x"), RuntimeError("recursion")])
def test_other_errors_are_no_limits(error: Exception) -> None:
    """What is not a limit of this machine is not called one."""
    assert local_limit(error) is None
