"""Artifacts on their way home, over a real sshd and a faulty link."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from controller.errors import ArtifactsNotSafe, ConnectionLost
from controller.ssh.host_keys import HostKeyMismatch
from controller.ssh.session import Session
from controller.transfer.download import PullReport, pull
from controller.transfer.manifest_check import UnsafeManifest
from controller.transfer.progress import TransferProgress
from controller.transfer.throttle import Throttle
from remote.contract import FileEntry, Layout, Manifest
from tests.support.pod_files import BIG, MB, SMALL, content, tree, wrote
from tests.support.sshd_server import Server, needs_sshd, new_host_key, sshd
from tests.support.tcp_proxy import Proxy

pytestmark = needs_sshd


def test_small_files_arrive(session: Session, layout: Layout, tmp_path: Path) -> None:
    """Small files come byte for byte in one stream, private to us."""
    manifest = wrote(layout, SMALL)

    report = pull(session, layout, "r", manifest, tmp_path / "in")

    assert tree(tmp_path / "in") == SMALL
    assert (report.files, report.bytes) == (4, sum(map(len, SMALL.values())))
    assert (tmp_path / "in/empty").stat().st_mode & 0o777 == 0o600


def test_the_bytes_of_small_files_are_told_before_a_file_is_whole(
    session: Session, layout: Layout, tmp_path: Path
) -> None:
    """Also of one file alone, which may take long over a slow link."""
    manifest = wrote(layout, {"one": content(1, 5 * MB)})
    reports: list[TransferProgress] = []

    pull(
        session,
        layout,
        "r",
        manifest,
        tmp_path / "in",
        progress=reports.append,
        rate_limit=8.0 * MB,
    )

    assert any(0 < report.bytes_done < report.bytes_total for report in reports)
    assert reports[-1] == TransferProgress(1, 1, 5 * MB, 5 * MB)


def test_large_files_arrive_over_several_connections(
    server: Server, layout: Layout, tmp_path: Path
) -> None:
    """Large files arrive in chunks over connections of their own, small ones beside them."""
    manifest = wrote(layout, BIG)
    reports: list[TransferProgress] = []
    with Proxy(server.endpoint.port) as proxy, server.connect(proxy.port) as session:
        report = pull(session, layout, "r", manifest, tmp_path / "in", progress=reports.append)
        connections = proxy.accepted

    assert tree(tmp_path / "in") == BIG
    assert report.files == 3
    assert connections == 1 + 4
    assert (reports[-1].files_done, reports[-1].bytes_done) == (3, reports[-1].bytes_total)


def test_a_second_pull_moves_nothing(session: Session, layout: Layout, tmp_path: Path) -> None:
    """What is here is not fetched again, nor read again: it is remembered as verified."""
    manifest = wrote(layout, SMALL)
    pull(session, layout, "r", manifest, tmp_path / "in")
    target = tmp_path / "in/adapter.safetensors"
    about = target.stat()
    with target.open("r+b") as file:  # spoilt behind the back of every clock: not noticed
        file.write(b"!")
    os.utime(target, ns=(about.st_atime_ns, about.st_mtime_ns))

    report = pull(session, layout, "r", manifest, tmp_path / "in")

    assert (report.files, report.already) == (0, 4)


def test_a_changed_file_here_is_fetched_again(
    session: Session, layout: Layout, tmp_path: Path
) -> None:
    """A local file whose content is not the manifest's is replaced."""
    manifest = wrote(layout, SMALL)
    pull(session, layout, "r", manifest, tmp_path / "in")
    (tmp_path / "in/adapter.safetensors").write_bytes(b"?" * 300_000)

    report = pull(session, layout, "r", manifest, tmp_path / "in")

    assert report.files == 1
    assert tree(tmp_path / "in") == SMALL


def test_only_what_changed_on_the_pod_moves(
    session: Session, layout: Layout, tmp_path: Path
) -> None:
    """One changed file of many is one file on the wire."""
    files = {f"s/{i}": content(i, 500) for i in range(300)}
    pull(session, layout, "r", wrote(layout, files), tmp_path / "in")
    files["s/7"] = b"new"

    report = pull(session, layout, "r", wrote(layout, files), tmp_path / "in")

    assert (report.files, report.bytes) == (1, 3)
    assert tree(tmp_path / "in") == files


def test_row_44_a_cut_is_survived(server: Server, layout: Layout, tmp_path: Path) -> None:
    """When all connections are cut in the middle, the same pull comes back and completes."""
    manifest = wrote(layout, BIG)
    with Proxy(server.endpoint.port) as proxy, server.connect(proxy.port) as session:
        proxy.cut_at = 8 * MB
        pull(session, layout, "r", manifest, tmp_path / "in")
        used, down = proxy.accepted, proxy.down

    assert tree(tmp_path / "in") == BIG
    assert used > 5
    assert down < 19 * MB + 10 * MB  # not from the start again


def interrupted(server: Server, layout: Layout, manifest: Manifest, into: Path) -> None:
    """A pull that loses its network for good after some chunks have arrived, and far from all.

    The network is the slow part: what is in buffers at the cut completes no file.
    """
    slow = Proxy(server.endpoint.port, rate=1.0 * MB)  # for each connection
    with slow as proxy, server.connect(proxy.port) as session:

        def cut(progress: TransferProgress) -> None:
            if progress.bytes_done > 5 * MB:
                proxy.refuse = True
                proxy.cut()
                raise ConnectionLost("the network is gone for good")

        with pytest.raises(ConnectionLost):
            pull(session, layout, "r", manifest, into, progress=cut)


def test_row_44_the_next_pull_goes_on_where_the_last_stopped(
    server: Server, layout: Layout, tmp_path: Path
) -> None:
    """Pieces that came before the network went are kept, and only the rest travels."""
    manifest = wrote(layout, BIG)
    interrupted(server, layout, manifest, tmp_path / "in")
    assert not (tmp_path / "in/ckpt/optimizer.pt").exists()

    with Proxy(server.endpoint.port) as proxy, server.connect(proxy.port) as session:
        pull(session, layout, "r", manifest, tmp_path / "in")
        bytes_down = proxy.down

    assert tree(tmp_path / "in") == BIG
    assert bytes_down < 16 * MB  # of 19: the complete chunks were not sent again
    assert [path.name for path in (tmp_path / "in/.partial").iterdir()] == ["verified.json"]


def test_row_44_spoilt_pieces_are_fetched_again(
    server: Server, layout: Layout, tmp_path: Path
) -> None:
    """A byte that the disk here changed in a half-pulled file is found and replaced."""
    manifest = wrote(layout, BIG)
    interrupted(server, layout, manifest, tmp_path / "in")
    for partial in (tmp_path / "in/.partial").iterdir():
        if partial.stat().st_size > MB:
            with partial.open("r+b") as file:
                file.seek(1000)
                byte = file.read(1)
                file.seek(1000)
                file.write(bytes([byte[0] ^ 1]))

    with server.connect() as session:
        pull(session, layout, "r", manifest, tmp_path / "in")

    assert tree(tmp_path / "in") == BIG


def test_row_44_a_piece_that_lies_about_its_checksum_is_found_by_the_hash(
    server: Server, layout: Layout, tmp_path: Path
) -> None:
    """Whatever the journal of chunks says, only the manifest's hash lets a file in."""
    manifest = wrote(layout, BIG)
    interrupted(server, layout, manifest, tmp_path / "in")
    import zlib

    for journal in (tmp_path / "in/.partial").glob("*.ranges"):
        partial = journal.with_suffix("")
        with partial.open("r+b") as file:
            file.write(b"forged")
            file.seek(0)
            journal.write_bytes(b"0 %d\n" % zlib.crc32(file.read(2 * 2**20)))

    with server.connect() as session:
        pull(session, layout, "r", manifest, tmp_path / "in")

    assert tree(tmp_path / "in") == BIG


def test_row_43_a_flipped_bit_on_the_way_never_arrives(
    server: Server, layout: Layout, tmp_path: Path
) -> None:
    """A corrupted packet ends its connection; the files are right all the same."""
    manifest = wrote(layout, BIG)
    with Proxy(server.endpoint.port) as proxy, server.connect(proxy.port) as session:
        proxy.flip_at = 5 * MB
        pull(session, layout, "r", manifest, tmp_path / "in")
        connections = proxy.accepted

    assert tree(tmp_path / "in") == BIG
    assert connections > 5


def test_row_44_a_cut_in_the_small_stream_is_survived(
    server: Server, layout: Layout, tmp_path: Path
) -> None:
    """Small files that came before a cut are kept and the rest follows on a new connection."""
    files = {f"s/{i}": content(i, 20_000) for i in range(200)}
    manifest = wrote(layout, files)
    with Proxy(server.endpoint.port) as proxy, server.connect(proxy.port) as session:
        proxy.cut_at = 3 * MB
        pull(session, layout, "r", manifest, tmp_path / "in")
        bytes_down = proxy.down

    assert tree(tmp_path / "in") == files
    assert bytes_down < 7 * MB


@pytest.mark.parametrize("files", [SMALL, BIG])
def test_row_46_the_network_gone_for_good_is_connection_lost(
    server: Server, layout: Layout, tmp_path: Path, files: dict[str, bytes]
) -> None:
    """Without any progress for the given patience a pull ends as a lost connection."""
    manifest = wrote(layout, files)
    with Proxy(server.endpoint.port) as proxy, server.connect(proxy.port) as session:
        proxy.refuse = True
        proxy.cut()
        with pytest.raises(ConnectionLost):
            pull(session, layout, "r", manifest, tmp_path / "in", code="0" * 64, patience_seconds=1)


def test_row_50_another_server_at_the_address_is_refused(
    server: Server, layout: Layout, tmp_path: Path
) -> None:
    """A data connection that meets another host key ends the pull; nothing is taken from there."""
    manifest = wrote(layout, BIG)
    (tmp_path / "other").mkdir()
    new_host_key(tmp_path / "other")
    with (
        sshd(tmp_path / "other") as other,
        Proxy(server.endpoint.port) as proxy,
        server.connect(proxy.port) as session,
    ):
        proxy.target = other.endpoint.port
        with pytest.raises(HostKeyMismatch):
            pull(session, layout, "r", manifest, tmp_path / "in")


Change = Callable[[Path], object]
CHANGES: dict[str, Change] = {
    "other bytes": lambda path: path.write_bytes(content(9, path.stat().st_size)),
    "shorter": lambda path: os.truncate(path, path.stat().st_size - 1),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"!"),
    "gone": lambda path: path.unlink(),
    "a link out": lambda path: (
        path.rename(path.parents[2] / path.name),
        path.symlink_to(path.parents[2] / path.name),
    ),
    "a pipe": lambda path: (path.unlink(), os.mkfifo(path)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_row_68_72_files_that_are_not_the_manifest_s(
    session: Session, layout: Layout, tmp_path: Path, change: str
) -> None:
    """A final manifest that does not hold is an error; an earlier one skips those files. The
    others arrive, and the wrong ones never have their names here, small or large."""
    manifest = wrote(layout, BIG)
    names = ("ckpt/config.json", "ckpt/optimizer.pt")
    for name in names:
        CHANGES[change](Path(layout.work("r")) / name)
    if change == "longer":  # the part that the manifest knows is there: nothing is lost
        report = pull(session, layout, "r", manifest, tmp_path / "in")
        assert (report.skipped, tree(tmp_path / "in")) == ((), BIG)
        return

    with pytest.raises(ArtifactsNotSafe, match="2 files"):
        pull(session, layout, "r", manifest, tmp_path / "in")
    early = Manifest("r", 1, False, manifest.files)
    report = pull(session, layout, "r", early, tmp_path / "in")

    assert report.skipped == names
    assert tree(tmp_path / "in") == {k: v for k, v in BIG.items() if k not in names}


def test_row_68_a_file_that_changes_while_it_is_pulled(
    server: Server, session: Session, layout: Layout, tmp_path: Path
) -> None:
    """A file that is written to in the middle of the pull never gets its name here as a mixture;
    it is taken once it is again what the manifest promised."""
    manifest = wrote(layout, BIG)
    name = "ckpt/optimizer.pt"
    spoilt = Path(layout.work("r")) / name
    with Proxy(server.endpoint.port) as proxy, server.connect(proxy.port) as faulty:
        # Before the cut less than this file has come: what is asked for again is all new.
        proxy.cut_at = 8 * MB
        proxy.at_cut = lambda: overwrite(spoilt, b"?" * len(BIG[name]))
        with pytest.raises(ArtifactsNotSafe, match="1 files"):
            pull(faulty, layout, "r", manifest, tmp_path / "in")
    files = tree(tmp_path / "in")
    overwrite(spoilt, BIG[name])
    pull(session, layout, "r", manifest, tmp_path / "in")

    assert files == {k: v for k, v in BIG.items() if k != name}
    assert tree(tmp_path / "in") == BIG


def overwrite(path: Path, data: bytes) -> None:
    """In place: whoever has it open reads the new bytes."""
    with path.open("r+b") as file:
        file.write(data)


def test_row_70_an_unsafe_manifest_writes_nothing(
    session: Session, layout: Layout, tmp_path: Path
) -> None:
    """One bad name, or another run's manifest, refuses the whole of it before the first write."""
    good = wrote(layout, SMALL)
    bad = Manifest("r", 1, True, (*good.files, FileEntry("../evil", 0, "0" * 64)))

    with pytest.raises(UnsafeManifest):
        pull(session, layout, "r", bad, tmp_path / "in")
    with pytest.raises(UnsafeManifest):
        pull(session, layout, "other", good, tmp_path / "in")

    assert not (tmp_path / "in").exists()


def test_a_rate_is_kept(session: Session, layout: Layout, tmp_path: Path) -> None:
    """A pull with a limit takes at least the time that the limit asks for."""
    manifest = wrote(layout, {"x": content(5, 4 * MB)})

    report: PullReport = pull(session, layout, "r", manifest, tmp_path / "in", rate_limit=4.0 * MB)

    assert 0.6 < report.seconds < 60


def test_a_throttle_counts_over_time() -> None:
    """However the bytes are cut, the waiting adds up to bytes over rate."""
    now, slept = [0.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    throttle = Throttle(100.0, clock=lambda: now[0], sleep=sleep)
    for count in [10, 40, 50, 100, 300]:
        throttle.took(count)

    assert 4.7 < sum(slept) <= 5.0
