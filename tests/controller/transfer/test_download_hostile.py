"""A pod whose half of a transfer an enemy wrote: caps hold, and nothing wrong gets a name."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import pytest

from controller.errors import PodctlError
from controller.ssh.session import Session
from controller.transfer.download import pull
from remote.contract import ContractError, FileEntry, Layout, Manifest, load
from tests.support.sshd_server import needs_sshd

pytestmark = needs_sshd
CODE = "0" * 64
HEAD = """
import json, os, struct, sys, zlib
out = sys.stdout.buffer
wanted = json.loads(sys.stdin.buffer.readline())
def chunk(data):
    out.write(struct.pack(">I", len(data)) + data)
"""
GOOD = b"0123456789" * 1000
LIES = {
    "longer": 'out.write(b"r"); chunk(b"0123456789" * 1000 + b"x"); chunk(b"")',
    "shorter": 'out.write(b"r"); chunk(b"0123456789" * 999); chunk(b"")',
    "other bytes": 'out.write(b"r"); chunk(b"9" * 10000); chunk(b"")',
    "missing": 'out.write(b"-")',
    "ends early": 'out.write(b"r"); out.write(struct.pack(">I", 10000) + b"0")',
    "a kind nobody knows": 'out.write(b"l/etc/passwd")',
    "a chunk of 4 GB": 'out.write(b"r" + b"\\xff" * 4); out.write(b"x" * 100000)',
    "no zlib": 'out.write(b"z"); chunk(b"not zlib"); chunk(b"")',
    "a bomb": 'out.write(b"z"); chunk(zlib.compress(bytes(60_000_000), 9)); chunk(b"")',
    "endless": 'out.write(b"r")\nwhile True: chunk(bytes(1000000))',
    "nothing": "sys.exit(0)",
}


def hostile(layout: Layout, program: str) -> str:
    """Put `program` where podctl's own half of a transfer would be; its name as code."""
    package = Path(layout.code(CODE)) / "remote"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "files.py").write_text(program)
    return CODE


def manifest(*files: tuple[str, bytes]) -> Manifest:
    entries = [FileEntry(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in files]
    return Manifest("r", 1, True, tuple(entries))


@pytest.mark.parametrize("lie", LIES)
def test_row_72_73_what_a_pod_sends_is_what_it_listed_or_nothing(
    session: Session, layout: Layout, tmp_path: Path, lie: str
) -> None:
    """Longer, shorter, other, missing, cut, unknown, oversized, a bomb, without an end: the pull
    fails, no file gets its name, and not more is written than the list says."""
    code = hostile(layout, HEAD + LIES[lie] + "\nout.flush()\n")
    with pytest.raises(PodctlError):
        pull(
            session, layout, "r", manifest(("a/b.bin", GOOD)), tmp_path / "in",
            code=code, patience_seconds=20,
        )  # fmt: skip

    left = [path for path in (tmp_path / "in").rglob("*") if path.is_file()]
    assert [path.name for path in left] == ["verified.json"]
    assert session.run(["true"]).status == 0


def test_row_72_extra_files_are_not_even_read(
    session: Session, layout: Layout, tmp_path: Path
) -> None:
    """What comes after the files that were asked for is nobody's."""
    more = 'out.write(b"r"); chunk(b"0123456789" * 1000); chunk(b"")\n'
    code = hostile(layout, HEAD + more * 3 + "out.flush()\n")
    pull(session, layout, "r", manifest(("a/b.bin", GOOD)), tmp_path / "in", code=code)

    paths = {path.relative_to(tmp_path / "in").as_posix() for path in (tmp_path / "in").rglob("*")}
    assert paths == {"a", "a/b.bin", ".partial", ".partial/verified.json"}


RANGES = {
    "longer": "b'\\0' * 7 + b'\\xff' + bytes(300)",
    "shorter": "struct.pack('>Q', length - 1) + bytes(length - 1)",
    "gone": "b'\\xff' * 8",
    "other bytes": "struct.pack('>Q', length) + bytes(length)",
    "ends early": "struct.pack('>Q', length) + b'x'; out.write(answer); out.flush(); sys.exit(3)",
}


@pytest.mark.parametrize("lie", RANGES)
def test_row_72_pieces_of_large_files_are_held_to_the_list(
    session: Session, layout: Layout, tmp_path: Path, lie: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same for the chunks of a large file."""
    monkeypatch.setattr("controller.transfer.download.LARGE", 1000)
    monkeypatch.setattr("controller.transfer.download.WORTH_CONNECTING", 0)
    program = f"""
import json, struct, sys
out = sys.stdout.buffer
for line in sys.stdin.buffer:
    path, offset, length = json.loads(line)
    answer = {RANGES[lie]}
    out.write(answer)
    out.flush()
"""
    code = hostile(layout, program)
    with pytest.raises(PodctlError):
        pull(
            session, layout, "r", manifest(("a.bin", GOOD)), tmp_path / "in",
            code=code, patience_seconds=3,
        )  # fmt: skip

    assert not (tmp_path / "in/a.bin").exists()


def test_row_71_only_regular_files_are_ever_made(
    session: Session, layout: Layout, tmp_path: Path
) -> None:
    """Links, pipes and devices on the pod are not followed and not opened; here there are only
    regular files that belong to nobody else."""
    work = Path(layout.work("r"))
    work.mkdir(parents=True)
    (secret := tmp_path / "secret").write_bytes(GOOD)
    (work / "good").write_bytes(GOOD)
    (work / "link").symlink_to(secret)
    (work / "folder").symlink_to(tmp_path, target_is_directory=True)
    os.mkfifo(work / "pipe")
    if os.geteuid() == 0:
        os.mknod(work / "device", 0o666 | stat.S_IFCHR, os.makedev(1, 5))
    names = ("good", "link", "pipe", "device")
    with pytest.raises(PodctlError, match="3 files"):
        pull(session, layout, "r", manifest(*((n, GOOD) for n in names)), tmp_path / "in")

    created = [path for path in (tmp_path / "in").iterdir() if path.name != ".partial"]
    assert [path.name for path in created] == ["good"]
    assert stat.S_ISREG(created[0].lstat().st_mode)
    assert created[0].stat().st_nlink == 1


@pytest.mark.parametrize(
    "document",
    [
        b'{"schema":1,"run":"r","attempt":1,"final":true,"files":[' + b"[" * 100_000,
        b'{"schema":1,"run":"r","attempt":1,"final":true,"files":'
        + b'[{"path":"a","size":1,"sha256":"b"}' + b',{"path":"a","size":1,"sha256":"b"}' * 100_000
        + b"]}",
        b" " * (16 * 2**20) + b"{}",
        b'{"schema":1,"run":"r","attempt":1,"final":true,"files":[{"path":"a","size":1e400}]}',
        b'{"schema":1,"run":"r","attempt":1,"final":true,"files":[{"path":"a","size":NaN}]}',
    ],
    ids=["deep", "too many", "too long", "infinite", "not a number"],
)  # fmt: skip
def test_row_73_a_monstrous_manifest_is_refused_before_it_is_built(document: bytes) -> None:
    """Depth, number and length of a pod's list are capped while it is read."""
    with pytest.raises(ContractError):
        load(Manifest, document)


def test_row_73_a_terabyte_is_refused_before_the_first_byte(
    session: Session, layout: Layout, tmp_path: Path
) -> None:
    """A size that no disk here has room for is told with what is missing; nothing is allocated."""
    entry = FileEntry("a", 9 * 10**11, "0" * 64)
    many = tuple(FileEntry(f"a{i}", entry.size, entry.sha256) for i in range(4))
    code = hostile(layout, "import sys; sys.exit(9)")
    with pytest.raises(PodctlError, match="lacks"):
        pull(session, layout, "r", Manifest("r", 1, True, many), tmp_path / "in", code=code)

    assert [path.name for path in (tmp_path / "in").rglob("*")] == [".partial", "verified.json"]
