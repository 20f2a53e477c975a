"""A large file that was received in part: what counts of it after any interruption."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.transfer.chunks import CHUNK_BYTES, Chunks, Target
from controller.transfer.local_names import common_file_system, local_names
from controller.transfer.manifest_check import UnsafeManifest, check_files
from controller.transfer.range_download import Checker
from controller.transfer.staging_area import StagingArea
from remote.contract import FileEntry, Manifest

SMALL_PIECE = 64  # bytes, so that a file has many


def entry_of(data: bytes, path: str = "a/b.bin") -> FileEntry:
    return FileEntry(path, len(data), hashlib.sha256(data).hexdigest())


def fetch(target: Target, chunks: Chunks, data: bytes, most: int) -> int:
    """Do the work of a connection for at most `most` chunks; returns their number."""
    for count in range(most):
        chunk = chunks.take(wait=False)
        if chunk is None:
            return count
        offset, length = target.span(chunk.index)
        os.pwrite(target.fd, data[offset : offset + length], offset)
        chunks.record(chunk, zlib.crc32(data[offset : offset + length]))
    return most


@settings(max_examples=60, deadline=None)
@given(
    data=st.binary(min_size=1, max_size=2000),
    cuts=st.lists(st.integers(0, 20), max_size=4),
    spoilt=st.lists(st.tuples(st.integers(0, 1999), st.integers(1, 255)), max_size=3),
    torn=st.integers(0, 12),
    junk=st.binary(max_size=20),
)
def test_row_44_any_interruption_resumes_to_the_same_bytes(
    data: bytes, cuts: list[int], spoilt: list[tuple[int, int]], torn: int, junk: bytes
) -> None:
    """Cut after any number of chunks, any number of times, with bytes spoilt on the disk, the end
    of the journal torn off and junk in its place: the file that gets its name is the manifest's."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr("controller.transfer.chunks.CHUNK_BYTES", SMALL_PIECE)
        entry = entry_of(data)
        for most in cuts:
            with StagingArea(Path(folder)) as staging:
                target = Target.open(staging, entry)
                fetch(target, Chunks([target]), data, most)
                _harm(target, spoilt, torn, junk)
                target.close()
        with StagingArea(Path(folder)) as staging:
            target = Target.open(staging, entry)
            assert all(target.read(index) == _chunk(target, data, index) for index in target.have)
            chunks = Chunks([target])
            checker = Checker(chunks, staging)
            checker.start()
            while not chunks.finished():
                fetch(target, chunks, data, 100)
                chunks.pause(0.01)
            checker.join(60)
            target.close()

        assert target.installed
        assert (Path(folder) / entry.path).read_bytes() == data


def _chunk(target: Target, data: bytes, index: int) -> bytes:
    offset, length = target.span(index)
    return data[offset : offset + length]


def _harm(target: Target, spoilt: list[tuple[int, int]], torn: int, junk: bytes) -> None:
    for offset, flip in spoilt:
        if byte := os.pread(target.fd, 1, offset):
            os.pwrite(target.fd, bytes([byte[0] ^ flip]), offset)
    size = os.fstat(target.journal).st_size
    os.ftruncate(target.journal, max(0, size - torn))
    os.write(target.journal, junk)


def test_row_44_a_forged_piece_costs_a_second_fetch_and_no_more() -> None:
    """A chunk whose checksum agrees and whose bytes are wrong is found by the file's hash."""
    data = os.urandom(3 * CHUNK_BYTES // 2)
    with tempfile.TemporaryDirectory() as folder, StagingArea(Path(folder)) as staging:
        target = Target.open(staging, entry_of(data))
        os.pwrite(target.fd, bytes(CHUNK_BYTES), 0)
        os.write(target.journal, b"0 %d\n" % zlib.crc32(bytes(CHUNK_BYTES)))
        target.close()
        target = Target.open(staging, entry_of(data))
        assert target.have == {0}
        chunks = Chunks([target])
        checker = Checker(chunks, staging)
        checker.start()
        fetched = 0
        while not chunks.finished():
            fetched += fetch(target, chunks, data, 100)
            chunks.pause(0.01)
        checker.join(60)
        target.close()

        assert fetched == 3
        assert (Path(folder) / "a/b.bin").read_bytes() == data


NAMES = st.one_of(
    st.text(max_size=12),
    st.text("ab/.-\\ \x1b\u202e", max_size=10),
    st.lists(st.sampled_from(["..", ".", "", "a", "b", ".partial", "CON", "-x"]), max_size=4).map(
        "/".join
    ),
)


@settings(max_examples=150, deadline=None)
@given(names=st.lists(NAMES, max_size=5))
def test_row_70_whatever_the_names_nothing_is_written_outside(names: list[str]) -> None:
    """Any list of names is refused as a whole, or makes exactly those files below the folder and
    nothing anywhere else."""
    with tempfile.TemporaryDirectory() as folder:
        (top := Path(folder) / "home" / "in").mkdir(parents=True)
        (canary := Path(folder) / "home" / "canary").write_text("here before")
        listed = tuple(entry_of(b"", name) for name in names)
        entries: list[FileEntry] = []
        with contextlib.suppress(UnsafeManifest):
            check_files(Manifest("r", 1, True, listed))
            here = local_names((entry.path for entry in listed), common_file_system([top]))
            placed = Manifest("r", 1, True, listed, here=here)
            check_files(placed)
            entries = [replace(entry, path=placed.local(entry.path)) for entry in listed]
        with StagingArea(top) as staging:
            for entry in entries:
                fd = staging.stage(entry)
                staging.install(entry, fd)
                os.close(fd)
            staging.settle()
        arrived = {
            os.path.relpath(os.path.join(place, name), folder)
            for place, _, files in os.walk(folder)
            for name in files
        }

        assert arrived == {"home/canary", "home/in/.partial/verified.json"} | {
            f"home/in/{entry.path}" for entry in entries
        }
        assert canary.read_text() == "here before"
