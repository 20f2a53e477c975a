"""Moves files between the laptop and this pod, over the standard streams of one command.

    python3 -S -m remote.files work   --root R    receive a run's work folder
    python3 -S -m remote.files send   --root R --run X    send whole files
    python3 -S -m remote.files range  --root R --run X    send pieces of files as they are asked for
    python3 -S -m remote.files measure --root R --run X   size and hash of what lies at some paths

work    in: one line of JSON {"run", "tree", "files": [[path, size, sha256, executable], …]}
        out: one line {"missing": [sha256, …]}; in: those blobs in that order, each as content;
        out: one line {"built": true}. Instead of either: {"done": true} when this very tree is
        there, {"refused": why, …} when it cannot be.
send    in: one line of JSON [[path, size], …]; out: the files in that order, each as content.
range   in: lines of JSON [path, offset, length]; out for each: 8 bytes of length (all ones: there
        is no such regular file), then so many bytes.
measure in: one line of JSON [path, …]; out: one line of JSON [[path, size, sha256], …] for every
        regular file at or below these, through links, also those that lead out of the work folder.
Paths are encoded as `names` has it.
content one byte: "r" raw, "z" zlib, "-" not there (nothing follows); then chunks of a 4-byte
        length and so many bytes; length 0 ends it. Numbers are big-endian.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import stat
import struct
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from . import names
from .agent.work_dir import Order, Refused, WorkDir
from .contract import MAX_DOCUMENT
from .pod import tree
from .pod.measure import measure
from .pod.paths import PodPaths, is_run_name

CHUNK = 1024 * 1024  # bytes
GONE = 2**64 - 1
BEAT_SECONDS = 10.0


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="remote.files", description="moves files of a run")
    parser.add_argument("verb", choices=("work", "send", "range", "measure"))
    parser.add_argument("--root", required=True, help="<mount>/podctl")
    parser.add_argument("--run", default="", help="the run whose files are wanted")
    chosen = parser.parse_args(argv)
    place = PodPaths.at(chosen.root)
    beat = Beat(place.beat)
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    if chosen.verb == "work":
        return receive_work(place, source, sink, beat)
    if not is_run_name(chosen.run):
        parser.error("--run is no run's name")
    work = PodPaths.at(chosen.root).work(chosen.run)
    if chosen.verb == "send":
        send_files(work, source, sink, beat)
    elif chosen.verb == "measure":
        paths = [str(path) for path in json.loads(source.readline(MAX_DOCUMENT))]
        measured = measure(work, [names.decode(path) for path in paths], beat)
        sink.write(json.dumps([(names.encode(p), n, h) for p, n, h in measured]).encode() + b"\n")
    else:
        send_ranges(work, source, sink, beat)
    return 0


class Beat:
    """Tells the guard that the controller is here; while files move, again and again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._next = 0.0
        self()

    def __call__(self) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + BEAT_SECONDS
        try:
            self._path.touch()
        except OSError:
            return  # a full disk must not stop what empties it


def receive_work(
    place: PodPaths, source: BinaryIO, sink: BinaryIO, beat: Callable[[], None]
) -> int:
    """The pod's half of an upload; the tree is complete or absent at every moment.

    An upload may take longer than the guard lets a pod idle: each piece that comes is a visit.
    """
    try:
        tree = WorkDir(place, Order.parse(source.readline(MAX_DOCUMENT)), beat)
        if tree.present():
            return _say(sink, {"done": True})
        tree.sweep_blobs()
        tree.link_outputs()
        missing = tree.missing()
        tree.check_space(missing)
        _say(sink, {"missing": missing})
        changed = [blob for blob in missing if not tree.keep_blob(blob, _content(source, beat))]
        if changed:
            raise Refused("changed", sha256=changed[0])
        tree.build()
    except Refused as error:
        return _say(sink, {"refused": error.why, **error.facts})
    return _say(sink, {"built": True})


def _say(sink: BinaryIO, answer: dict[str, object]) -> int:
    sink.write(json.dumps(answer, separators=(",", ":")).encode() + b"\n")
    sink.flush()
    return 0


def _content(source: BinaryIO, beat: Callable[[], None]) -> Iterator[bytes]:
    """The bytes of one content, unpacked."""
    codec = _exactly(source, 1)
    unpack = zlib.decompressobj() if codec == b"z" else None
    while length := struct.unpack(">I", _exactly(source, 4))[0]:
        if length > 16 * CHUNK:
            raise Refused("garbled")
        data = _exactly(source, length)
        beat()
        yield unpack.decompress(data) if unpack else data
    if unpack:
        yield unpack.flush()


def _exactly(source: BinaryIO, count: int) -> bytes:
    data = source.read(count)
    if len(data) < count:
        raise Refused("cut")
    return data


def send_files(work: Path, source: BinaryIO, sink: BinaryIO, beat: Callable[[], None]) -> None:
    """Whole files, small ones by intention, in one stream."""
    for path, size in json.loads(source.readline(MAX_DOCUMENT)):
        beat()
        fd = _open(work, path)
        if fd is None:
            sink.write(b"-")
            continue
        with os.fdopen(fd, "rb", buffering=0) as file:
            _pack(_pieces(file, int(size), beat), sink)
    sink.flush()


def _pieces(file: BinaryIO, size: int, beat: Callable[[], None]) -> Iterator[bytes]:
    """At most `size` bytes: a file that grows meanwhile must not grow the answer.

    One file may take longer than the guard lets a pod idle: each piece that goes is a visit.
    """
    while size > 0 and (data := file.read(min(CHUNK, size))):
        size -= len(data)
        beat()
        yield data


def _pack(pieces: Iterable[bytes], sink: BinaryIO) -> None:
    first = True
    squeeze = None
    for piece in pieces:
        if first:
            first = False
            worth = len(zlib.compress(piece[:16384], 1)) < 0.8 * len(piece[:16384])
            squeeze = zlib.compressobj(1) if worth else None
            sink.write(b"z" if squeeze else b"r")
        _chunk(squeeze.compress(piece) if squeeze else piece, sink)
    if first:
        sink.write(b"r")
    if squeeze:
        _chunk(squeeze.flush(), sink)
    sink.write(b"\0\0\0\0")


def _chunk(data: bytes, sink: BinaryIO) -> None:
    if data:
        sink.write(struct.pack(">I", len(data)))
        sink.write(data)


def send_ranges(work: Path, source: BinaryIO, sink: BinaryIO, beat: Beat) -> None:
    """Pieces in the order they are asked for, until stdin ends."""
    while line := source.readline(CHUNK):
        beat()
        path, offset, length = json.loads(line)
        fd = _open(work, path)
        if fd is None:
            sink.write(struct.pack(">Q", GONE))
        else:
            with os.fdopen(fd, "rb", buffering=0) as file:
                _send_range(file, int(offset), int(length), sink)
        sink.flush()


def _send_range(file: BinaryIO, offset: int, length: int, sink: BinaryIO) -> None:
    available = max(0, min(length, os.fstat(file.fileno()).st_size - offset))
    sink.write(struct.pack(">Q", available))
    sink.flush()
    end = offset + available
    while offset < end and (sent := _copy(file.fileno(), offset, end - offset, sink.fileno())):
        offset += sent
    if offset < end:  # it shrank after its size was promised: the reader sees a short answer
        sys.exit(3)


def _copy(source: int, offset: int, most: int, sink: int) -> int:
    """Some bytes, at least one unless the file ends; inside the kernel where that is possible."""
    try:
        return os.sendfile(sink, source, offset, most)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
            raise
    return os.write(sink, os.pread(source, min(most, CHUNK), offset))


def _open(work: Path, path: str) -> int | None:
    """A regular file inside `work`, also through links; or None, never a pipe or a device."""
    if not isinstance(path, str) or names.wrong(path := names.decode(path)):
        return None
    try:
        with tree.opened(work) as top:
            fd = tree.reach(top, names.raw(path), os.O_RDONLY | os.O_NONBLOCK)
            home = tree.real_path(top) or os.fsencode(os.path.realpath(work))
    except OSError:
        return None
    if stat.S_ISREG(os.fstat(fd).st_mode) and tree.is_below(tree.real_path(fd), home):
        return fd
    os.close(fd)
    return None


if __name__ == "__main__":
    try:
        status = main()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or the interpreter complains at its end
        status = 4
    sys.exit(status)
