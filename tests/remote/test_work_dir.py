"""The pod's half of an upload, fed byte by byte: it shows that it goes on, and clears up."""

from __future__ import annotations

import io
import json
import os
import struct
import time
from pathlib import Path

import pytest

from remote import files
from remote.contract import digest
from remote.pod.paths import PodPaths, boot

CONTENT = os.urandom(3000)
SHA256 = digest(CONTENT)
BLOB = f"blobs/{SHA256[:2]}"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PodPaths:
    monkeypatch.setenv("RUNPOD_POD_ID", "pod1")
    found = PodPaths(tmp_path / "podctl", tmp_path / "local", tmp_path / "memory")
    found.local.mkdir()
    (found.root / BLOB).mkdir(parents=True)
    return found


def order() -> bytes:
    """One file, in three chunks."""
    wanted = {"run": "r1", "tree": "t", "files": [["a", len(CONTENT), SHA256, False]]}
    chunks = [CONTENT[at : at + 1000] for at in range(0, 3000, 1000)]
    packed = b"".join(struct.pack(">I", len(one)) + one for one in chunks)
    return json.dumps(wanted).encode() + b"\nr" + packed + bytes(4)


class Slow(io.BytesIO):
    """Makes the beat old before each piece, as time would, and keeps how often it was new."""

    def __init__(self, data: bytes, beat: Path) -> None:
        super().__init__(data)
        self.beat, self.visits = beat, 0

    def read(self, count: int | None = -1, /) -> bytes:
        self.look()
        return super().read(count)

    def look(self) -> None:
        self.visits += self.beat.stat().st_mtime > 0
        os.utime(self.beat, (0, 0))


def test_a_long_upload_is_a_visit_again_and_again(
    place: PodPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each piece that arrives, and each that is copied, tells the guard that somebody is there."""
    monkeypatch.setattr(files, "BEAT_SECONDS", 0.0)
    path = place.beat
    beat = files.Beat(path)
    source, sink = Slow(order(), path), io.BytesIO()

    files.receive_work(place, source, sink, beat)
    arriving = source.visits
    source.look()

    assert sink.getvalue().endswith(b'{"built":true}\n')
    assert (place.work("r1") / "a").read_bytes() == CONTENT
    assert arriving == 1 + 3  # the first when it began
    assert source.visits == arriving + 1


def test_an_upload_sweeps_what_was_cut_off_with_its_process(place: PodPaths) -> None:
    """A pod that was stopped in the middle left half a blob; another pod's is in progress."""
    folder, hour = place.root / BLOB, 3600.0
    pod = boot(place.local).pod
    mine, theirs, nobodys = (f".{'0' * 64}.{who}.17" for who in (pod, "pod2", "pod3"))
    for name in (mine, theirs, nobodys, "0" * 64):
        (folder / name).write_bytes(b"half")
    old = time.time() - 2 * hour
    for name in (nobodys, "0" * 64):
        os.utime(folder / name, (old, old))

    files.receive_work(place, io.BytesIO(order()), io.BytesIO(), lambda: None)

    assert {one.name for one in folder.iterdir()} == {theirs, "0" * 64, SHA256}
