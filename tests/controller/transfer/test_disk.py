"""The disk here, while files come from a pod: too small, full, without names, closed."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.agent.job_log import follow_log
from controller.agent.log_position import Chunk
from controller.errors import ArtifactsNotSafe, LocalLimit
from controller.ssh.session import Session
from controller.transfer.disk import LocalDiskClosed, LocalDiskFull, writing
from controller.transfer.download import pull
from controller.transfer.progress import TransferProgress
from remote.contract import Layout
from tests.support.pod_files import BIG, MB, SMALL, content, tree, wrote
from tests.support.sshd_server import Server, needs_sshd
from tests.support.tcp_proxy import Proxy

pytestmark = [
    needs_sshd,
    pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root"),
]


def mounted(folder: Path, options: str) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this machine does not let root mount a tmpfs")


def remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 10 MB."""
    (folder := tmp_path / "small").mkdir()
    mounted(folder, "size=10m")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_row_34_too_small_a_disk_is_said_before_the_first_byte(
    server: Server, layout: Layout, small_disk: Path
) -> None:
    """The message has the number of bytes that are missing, and nothing has been fetched."""
    manifest = wrote(layout, BIG)
    with Proxy(server.endpoint.port) as proxy, server.connect(proxy.port) as session:
        with pytest.raises(LocalDiskFull) as full:
            pull(session, layout, "r", manifest, small_disk / "in")
        bytes_down = proxy.down

    assert 9 * MB < full.value.missing_bytes < 15 * MB
    assert str(full.value.missing_bytes) in str(full.value)
    assert bytes_down < MB


@pytest.mark.parametrize("large", [False, True])
def test_row_34_a_disk_that_fills_up_keeps_what_came(
    session: Session, layout: Layout, small_disk: Path, large: bool
) -> None:
    """When the disk fills up in the middle the next pull, with room, fetches only the rest."""
    size = 20 * MB if large else 500_000
    files = {f"f{i}": content(i, size) for i in range(1 if large else 10)}
    manifest = wrote(layout, files)
    ballast = small_disk / "ballast"

    def fill(progress: TransferProgress) -> None:
        """Somebody else takes the space that was free at the start."""
        if not ballast.exists():
            free = os.statvfs(small_disk)
            ballast.write_bytes(bytes(max(0, free.f_bavail * free.f_frsize - 2 * MB)))

    if large:
        subprocess.run(["mount", "-o", "remount,size=30m", str(small_disk)], check=True)
    with pytest.raises(LocalDiskFull) as full:
        pull(session, layout, "r", manifest, small_disk / "in", progress=fill, rate_limit=15 * MB)
    assert 0 < full.value.missing_bytes <= 30 * MB
    ballast.unlink()
    report = pull(session, layout, "r", manifest, small_disk / "in")

    assert tree(small_disk / "in") == files
    assert report.already > 0 or large


def test_row_35_a_disk_without_names_is_said_before_the_first_byte(
    session: Session, layout: Layout, small_disk: Path
) -> None:
    """Inodes are counted like bytes; what is lacking is their number, and with them it goes on."""
    files = {f"s/{i}": b"x" for i in range(60)}
    manifest = wrote(layout, files)
    remount(small_disk, "nr_inodes=32")

    with pytest.raises(LocalDiskFull, match=r"room for 3\d names") as full:
        pull(session, layout, "r", manifest, small_disk / "in")
    assert full.value.missing_bytes == 0
    assert tree(small_disk / "in") == {}
    remount(small_disk, "nr_inodes=200")
    pull(session, layout, "r", manifest, small_disk / "in")

    assert tree(small_disk / "in") == files


def test_row_35_names_that_run_out_in_the_middle(
    session: Session, layout: Layout, small_disk: Path
) -> None:
    """Somebody else takes the last inodes: what came is kept, the rest follows when there are."""
    files = {f"f{i}": content(i, 30_000) for i in range(40)}
    manifest = wrote(layout, files)
    remount(small_disk, "nr_inodes=64")
    (taken := small_disk / "taken").mkdir()

    def take(progress: TransferProgress) -> None:
        for number in range(100):
            try:
                (taken / str(number)).touch()
            except OSError:
                return

    with pytest.raises(LocalDiskFull, match="names") as full:
        pull(session, layout, "r", manifest, small_disk / "in", progress=take, rate_limit=MB)
    arrived = tree(small_disk / "in")
    for path in taken.iterdir():
        path.unlink()
    report = pull(session, layout, "r", manifest, small_disk / "in")

    assert full.value.exit_code == ArtifactsNotSafe.exit_code
    assert arrived
    assert report.already == len(arrived)
    assert tree(small_disk / "in") == files


@pytest.mark.parametrize("files", [SMALL, BIG], ids=["small", "large"])
def test_row_35_a_read_only_disk_is_said(
    session: Session, layout: Layout, small_disk: Path, files: dict[str, bytes]
) -> None:
    """A disk that turned read-only is told as that; writable again, the pull completes."""
    manifest = wrote(layout, files)
    (small_disk / "in").mkdir()
    remount(small_disk, "size=60m,ro")
    with pytest.raises(LocalDiskClosed, match="cannot write") as closed:
        pull(session, layout, "r", manifest, small_disk / "in")
    remount(small_disk, "rw")
    pull(session, layout, "r", manifest, small_disk / "in")

    assert "Read-only" in closed.value.cause
    assert closed.value.exit_code == ArtifactsNotSafe.exit_code
    assert tree(small_disk / "in") == files


class OneLine:
    """An agent whose log is one line."""

    def log(self, run: str, offset: int) -> Chunk:
        return Chunk(offset, b"hello\n"[offset:], 6)


def test_row_34_a_full_disk_does_not_end_the_watching(small_disk: Path) -> None:
    """The copy of a job's log waits for room: a job is looked after while the disk is full."""
    log = small_disk / "job.log"
    remount(small_disk, "nr_inodes=2")
    (small_disk / "last").touch()
    follow_log(OneLine(), "r", log, 6)  # type: ignore[arg-type]
    missed = not log.exists()
    (small_disk / "last").unlink()
    follow_log(OneLine(), "r", log, 6)  # type: ignore[arg-type]

    assert missed
    assert log.read_bytes() == b"hello\n"


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, LocalDiskFull),
        (errno.EDQUOT, LocalDiskFull),
        (errno.EIO, LocalDiskClosed),
        (errno.EACCES, LocalDiskClosed),
        (errno.EMFILE, LocalLimit),
    ],
)
def test_row_34_35_each_error_of_a_disk_has_its_name(
    tmp_path: Path, number: int, kind: type[Exception]
) -> None:
    """Full, closed and out of descriptors are three things, and each says what mends it."""
    with pytest.raises(kind) as raised, writing(tmp_path / "not/there", lambda: 10**15):
        raise OSError(number, os.strerror(number))

    assert raised.value.hint  # type: ignore[attr-defined]
