"""Code and inputs on their way to a pod, over a real sshd."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import threading
from pathlib import Path

import pytest

from controller.errors import ConnectionLost, UsageError
from controller.ssh.session import Session
from controller.ssh.stream import CommandFailed
from controller.transfer.progress import TransferProgress
from controller.transfer.snapshot import Snapshot, take
from controller.transfer.upload import code_digest, upload_code, upload_work
from controller.transfer.upload_batch import FileGone, UploadFailed
from remote.contract import FileEntry, Layout, Manifest, dump
from tests.support.sshd_server import Server, needs_sshd
from tests.support.tcp_proxy import Proxy

pytestmark = needs_sshd


def project(folder: Path, files: dict[str, bytes]) -> Snapshot:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return take(folder, ["."])


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_code_runs_from_its_folder(session: Session, layout: Layout) -> None:
    """The package is on the pod under its hash and runs there with the standard library only."""
    sha256 = upload_code(session, layout.root)

    home = Path(layout.code(sha256))
    assert sha256 == code_digest()
    shown = session.run(["python3", "-S", "-m", "remote.files", "--help"], cwd=str(home))
    assert shown.status == 0
    assert [path.name for path in home.parent.iterdir()] == [sha256]
    assert upload_code(session, layout.root) == sha256


def test_code_that_is_not_there_is_an_upload_that_failed(
    session: Session, layout: Layout, tmp_path: Path
) -> None:
    """A job may have removed it after an earlier run: the caller sends it and tries again."""
    snapshot = project(tmp_path / "p", {f"{number:0100}": b"" for number in range(2000)})

    with pytest.raises((UploadFailed, CommandFailed)):
        upload_work(session, layout, "run1", snapshot, code="0" * 64)


def test_the_work_folder_is_what_was_snapped(
    session: Session, layout: Layout, tmp_path: Path
) -> None:
    """Contents, empty files, modes, odd names and podctl's own files arrive as they are."""
    files = {"a b/ü$(x).txt": b"text\n" * 1000, "empty": b"", "bin": os.urandom(3_000_000)}
    project(tmp_path / "p", files)
    (tmp_path / "p/bin").chmod(0o755)
    snapshot = take(tmp_path / "p", ["."])

    report = upload_work(session, layout, "run1", snapshot, {"podctl/x.json": b"{}"})

    work = Path(layout.work("run1"))
    assert tree(work) == {**files, "podctl/x.json": b"{}"}
    assert work.joinpath("bin").stat().st_mode & 0o777 == 0o755
    assert (report.files_total, report.files_sent) == (4, 4)
    assert report.bytes_sent < sum(map(len, files.values()))  # the text was squeezed


def test_the_missing_bytes_are_counted_as_they_go(
    session: Session, layout: Layout, tmp_path: Path
) -> None:
    """Each piece is told, to the last one; what the pod has already is none of it."""
    files = {"big": os.urandom(3_000_000), "small": b"1", "empty": b""}
    reports: list[TransferProgress] = []
    upload_work(
        session,
        layout,
        "run1",
        project(tmp_path / "p", files),
        {"same": b"1"},
        progress=reports.append,
    )
    again: list[TransferProgress] = []
    more = project(tmp_path / "p", {"new": b"22"})
    upload_work(session, layout, "run2", more, progress=again.append)

    assert reports[-1] == TransferProgress(3, 3, 3_000_001, 3_000_001)
    assert len(reports) > 5
    assert again[-1] == TransferProgress(1, 1, 2, 2)


def test_only_what_changed_travels(session: Session, layout: Layout, tmp_path: Path) -> None:
    """A second run sends the changed file and nothing else; a repeated upload sends nothing."""
    files = {f"d/{i}": os.urandom(2000) for i in range(50)}
    upload_work(session, layout, "run1", project(tmp_path / "p", files))
    changed = project(tmp_path / "p", {"d/7": b"new"})

    second = upload_work(session, layout, "run2", changed)
    again = upload_work(session, layout, "run2", changed)

    assert (second.files_sent, second.bytes_sent) == (1, 3)
    assert (again.files_sent, again.bytes_sent) == (0, 0)
    assert tree(Path(layout.work("run2"))) == {**files, "d/7": b"new"}
    assert Path(layout.work("run1"), "d/7").read_bytes() == files["d/7"]


def test_what_a_job_made_on_this_disk_is_linked_and_not_sent(
    session: Session, layout: Layout, tmp_path: Path
) -> None:
    """Outputs count by their hash: what changed since its manifest, is a link or is not there at
    all is sent, and a job that writes into the next run's input spoils nothing."""
    data = {name: os.urandom(100_000) for name in ("same", "changed", "linked", "gone")}
    work = Path(layout.work("earlier-0001"))
    for name, content in data.items():
        (work / "out").mkdir(parents=True, exist_ok=True)
        (work / "out" / name).write_bytes(content)
    entries = tuple(
        FileEntry(f"out/{name}", len(content), hashlib.sha256(content).hexdigest())
        for name, content in data.items()
    )
    manifest = Manifest("earlier-0001", 1, True, entries)
    (work.parent / "manifest.json").write_bytes(dump(manifest))
    (work / "out" / "changed").write_bytes(b"x" * 100_000)
    (work / "out" / "gone").unlink()
    (work / "out" / "linked").rename(tmp_path / "elsewhere")
    (work / "out" / "linked").symlink_to(tmp_path / "elsewhere")
    snapshot = project(tmp_path / "p", data)
    report = upload_work(session, layout, "later-0001", snapshot)

    assert report.files_sent == 3
    assert tree(Path(layout.work("later-0001"))) == data
    later = Path(layout.work("later-0001")) / "same"
    later.write_bytes(b"spoilt")
    assert (work / "out" / "same").read_bytes() == data["same"]


def test_a_job_may_write_into_its_inputs(session: Session, layout: Layout, tmp_path: Path) -> None:
    """What a job changes in its work folder reaches no other run."""
    snapshot = project(tmp_path / "p", {"x": b"input"})
    upload_work(session, layout, "run1", snapshot)
    Path(layout.work("run1"), "x").write_bytes(b"spoilt")

    upload_work(session, layout, "run2", snapshot)

    assert Path(layout.work("run2"), "x").read_bytes() == b"input"


def test_a_tree_that_is_there_is_left_alone(
    session: Session, layout: Layout, tmp_path: Path
) -> None:
    """Repeating an upload while the job works takes nothing of its files away."""
    snapshot = project(tmp_path / "p", {"x": b"input"})
    upload_work(session, layout, "run1", snapshot)
    Path(layout.work("run1"), "made.by.job").write_bytes(b"1")

    upload_work(session, layout, "run1", snapshot)

    assert Path(layout.work("run1"), "made.by.job").exists()


def test_a_run_that_goes_on_on_another_pod_of_its_volume_keeps_its_folder(
    session: Session, layout: Layout, tmp_path: Path
) -> None:
    """What it was begun on stays with what the job made of it, whatever would be sent now."""
    begun = upload_work(session, layout, "run1", project(tmp_path / "p", {"x": b"1"})).tree
    Path(layout.run("run1"), "spec.json").write_text("{}")
    Path(layout.work("run1"), "made").write_bytes(b"2")
    more = project(tmp_path / "p", {"x": b"1", "made": b"2"})

    with pytest.raises(UploadFailed, match="other inputs"):
        upload_work(session, layout, "run1", more, begun="0" * 64)
    report = upload_work(session, layout, "run1", more, begun=begun)

    assert (report.tree, report.files_sent) == (begun, 0)
    assert tree(Path(layout.work("run1"))) == {"x": b"1", "made": b"2"}


def test_other_inputs_replace_only_what_was_not_started(
    session: Session, layout: Layout, tmp_path: Path
) -> None:
    """Before the start new inputs take the place of the old; after it they are refused."""
    upload_work(session, layout, "run1", project(tmp_path / "p", {"x": b"1", "old": b"2"}))
    (tmp_path / "p/old").unlink()
    newer = project(tmp_path / "p", {"x": b"3"})
    upload_work(session, layout, "run1", newer)
    assert tree(Path(layout.work("run1"))) == {"x": b"3"}

    Path(layout.run("run1"), "spec.json").write_text("{}")
    with pytest.raises(UploadFailed, match="other inputs"):
        upload_work(session, layout, "run1", project(tmp_path / "p", {"x": b"4"}))
    upload_work(session, layout, "run1", newer)

    assert tree(Path(layout.work("run1"))) == {"x": b"3"}


def test_a_file_that_changes_meanwhile_arrives_as_it_was_read(
    session: Session, layout: Layout, tmp_path: Path
) -> None:
    """The hash is that of what was sent; a twin that did not change keeps its own content."""
    snapshot = project(tmp_path / "p", {"a": b"then", "twin": b"then", "x": b"1"})
    (tmp_path / "p/twin").write_bytes(b"now, and longer")
    (tmp_path / "p/x").write_bytes(b"")

    report = upload_work(session, layout, "run1", snapshot)

    expected = {"a": b"then", "twin": b"now, and longer", "x": b""}
    assert tree(Path(layout.work("run1"))) == expected
    assert {entry.path: entry.sha256 for entry in report.changed} == {
        path: hashlib.sha256(expected[path]).hexdigest() for path in ("twin", "x")
    }
    assert report.tree == take(tmp_path / "p", ["."]).tree


def test_files_that_are_written_all_the_time_keep_nobody_waiting(
    session: Session, layout: Layout, tmp_path: Path
) -> None:
    """A log that grows under every read, and a database that is rewritten: one upload, whole."""
    data = os.urandom(4_000_000)
    snapshot = project(tmp_path / "p", {"train.log": data, "state.db": data[:100_000], "x": b"1"})
    over = threading.Event()

    def write() -> None:
        while not over.is_set():
            with (tmp_path / "p/train.log").open("ab") as log:
                log.write(b"another line\n" * 1000)
            (tmp_path / "p/state.db").write_bytes(os.urandom(100_000))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        report = upload_work(session, layout, "run1", snapshot)
    finally:
        over.set()
        writer.join()

    arrived = tree(Path(layout.work("run1")))
    assert arrived["train.log"].startswith(data)
    assert "train.log" in {entry.path for entry in report.changed}
    for entry in report.changed:
        assert hashlib.sha256(arrived[entry.path]).hexdigest() == entry.sha256


def test_what_is_on_the_disk_already_is_counted(
    session: Session, layout: Layout, tmp_path: Path
) -> None:
    """Of another run on the same volume: by content, whatever a file is called there."""
    upload_work(session, layout, "run1", project(tmp_path / "p", {"a": b"12345", "b": b"67"}))
    os.rename(tmp_path / "p/a", tmp_path / "p/renamed")
    moved = upload_work(session, layout, "run2", project(tmp_path / "p", {"c": b"890"}))
    same = upload_work(session, layout, "run2", project(tmp_path / "p", {}))

    assert (moved.files_sent, moved.files_total, moved.bytes_there) == (1, 3, 7)
    assert (same.files_sent, same.bytes_there) == (0, 10)


def test_a_file_that_went_away_is_told_and_leaves_nothing_half(
    session: Session, layout: Layout, tmp_path: Path
) -> None:
    """The upload names it and the remedy; with what is there now it goes through."""
    snapshot = project(tmp_path / "p", {"a": b"1", "x.tmp": b"2"})
    (tmp_path / "p/x.tmp").unlink()

    with pytest.raises(FileGone, match=r"x\.tmp can no longer be read") as raised:
        upload_work(session, layout, "run1", snapshot)

    assert ".podctlignore" in raised.value.hint
    assert not Path(layout.work("run1")).exists()
    upload_work(session, layout, "run1", take(tmp_path / "p", ["."]))
    assert tree(Path(layout.work("run1"))) == {"a": b"1"}


def test_a_cut_leaves_nothing_half(
    server: Server, session: Session, layout: Layout, tmp_path: Path
) -> None:
    """An upload that was cut shows no work folder, and the next one completes it."""
    snapshot = project(tmp_path / "p", {f"{i}": os.urandom(400_000) for i in range(8)})
    code = upload_code(session, layout.root)
    with Proxy(server.endpoint.port) as proxy, server.connect(proxy.port) as weak:
        proxy.cut_up_at = 3_000_000  # a window is 2 MB: the pod has taken the first blobs
        with pytest.raises(ConnectionLost):
            upload_work(weak, layout, "run1", snapshot, code=code)
    assert not Path(layout.work("run1")).exists()

    report = upload_work(session, layout, "run1", snapshot, code=code)

    assert 0 < report.files_sent < 8  # the blobs that had arrived were kept
    assert len(tree(Path(layout.work("run1")))) == 8


def test_a_spoilt_blob_is_sent_again(session: Session, layout: Layout, tmp_path: Path) -> None:
    """A blob that the disk lost bytes of is noticed by its hash and replaced."""
    snapshot = project(tmp_path / "p", {"x": b"content"})
    upload_work(session, layout, "run1", snapshot)
    blob = Path(layout.blob(snapshot.files[0].sha256))
    blob.write_bytes(b"spoiled")  # of the same size

    upload_work(session, layout, "run2", snapshot)

    assert Path(layout.work("run2"), "x").read_bytes() == b"content"


def test_an_extra_never_hides_an_input(session: Session, layout: Layout, tmp_path: Path) -> None:
    """Two sources for one path are an error here, before anything is sent."""
    with pytest.raises(UsageError, match="x is an input"):
        upload_work(session, layout, "r", project(tmp_path / "p", {"x": b""}), {"x": b""})


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small disk")
def test_a_pod_disk_that_is_too_small_is_said_before_sending(
    session: Session, tmp_path: Path
) -> None:
    """The pod says how much it lacks before the first byte travels."""
    (small := tmp_path / "small").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", str(small)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this machine does not let root mount a tmpfs")
    try:
        code_home = Path(session.root) / small.relative_to("/")
        code_home.parent.mkdir(parents=True, exist_ok=True)
        code_home.symlink_to(small)
        layout = session.layout(str(small))
        with pytest.raises(UploadFailed, match="disk is too small"):
            upload_work(session, layout, "r", project(tmp_path / "p", {"x": bytes(8_000_000)}))
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


def test_garbage_for_the_receiver_is_refused(session: Session, layout: Layout) -> None:
    """An order whose names lead out of the folder builds nothing."""
    code = upload_code(session, layout.root)
    order = {"run": "r", "tree": "t", "files": [["../x", 1, "0" * 64, False]]}

    result = session.run(
        ["python3", "-S", "-m", "remote.files", "work", "--root", str(layout.root)],
        cwd=str(layout.code(code)),
        stdin=json.dumps(order).encode() + b"\n",
    )

    assert json.loads(result.stdout)["refused"] == "garbled"


@pytest.mark.parametrize("spoilt", ["[[]]", "[{}]", "[1]", "[NAME, NAME]", "['0' * 64]", "deep"])
def test_row_75_hashes_that_a_pod_makes_up_are_asked_for_in_vain(
    session: Session, layout: Layout, tmp_path: Path, spoilt: str
) -> None:
    """No hash, one that nobody offered, one twice: an error before a byte is sent for it."""
    snapshot = project(tmp_path / "p", {"a": b"text"})
    home = Path(layout.code("f" * 64)) / "remote"
    home.mkdir(parents=True)
    answer = f"json.dumps({{'missing': {spoilt}}})" if spoilt != "deep" else "'[' * 150_000"
    (home / "files.py").write_text(
        "import json, sys\n"
        "NAME = json.loads(sys.stdin.readline())['files'][0][2]\n"
        f"print({answer}, flush=True)\n"
        "open(__file__ + '.got', 'wb').write(sys.stdin.buffer.read())\n"
    )

    with pytest.raises(UploadFailed, match=r"could not parse|not offered"):
        upload_work(session, layout, "run1", snapshot, code="f" * 64)

    got = home / "files.py.got"
    assert not got.exists() or got.read_bytes() == b""
