"""Brings code and inputs to the pod: content-addressed, only what is missing, complete or absent.

Each upload is one command on the pod. It is told the whole list, answers with what it lacks, gets
that and nothing else, and puts the result in place by a rename.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import struct
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import remote.contract
from controller.transfer.progress import TransferProgress
from controller.transfer.snapshot import Snapshot
from controller.transfer.upload_batch import UNWANTED, PodDiskFull, UploadBatch, UploadFailed
from remote.contract import FileEntry, Layout

if TYPE_CHECKING:
    from controller.ssh.session import Session
    from controller.ssh.stream import Stream

CHUNK = 1024 * 1024  # bytes
UPLOAD_SECONDS = 6 * 3600.0
ROUNDS = 6  # of an upload in which blobs were lost, or files changed
CODE_SUFFIXES = {".pyc", ".pyo"}

# Runs on the pod before anything of ours is there: takes one JSON object {path: base64} whose
# sha256 is the folder's name, and gives the folder its name only when all of it is written.
RECEIVER = """
import base64, hashlib, json, os, shutil, sys, zlib
root, sha = sys.argv[1:3]
home = os.path.join(root, "code", sha)
have = os.path.isdir(home)
print("have" if have else "need", flush=True)
if not have:
    data = zlib.decompress(sys.stdin.buffer.read())
    assert hashlib.sha256(data).hexdigest() == sha, "the code arrived garbled"
    beside = "%s.%d" % (home, os.getpid())
    for path, text in json.loads(data).items():
        target = os.path.join(beside, path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "wb") as file:
            file.write(base64.b64decode(text))
            file.flush()
            os.fsync(file.fileno())
    try:
        os.rename(beside, home)
    except OSError:
        shutil.rmtree(beside)
        assert os.path.isdir(home)
    print("done", flush=True)
"""


@dataclass(frozen=True)
class UploadReport:
    """`bytes_sent` counts payload as it went over the wire, after compression."""

    files_total: int
    files_sent: int
    bytes_sent: int
    tree: str  # digest of the work folder
    bytes_there: int = 0  # of files that did not travel: their content was on the disk already
    changed: tuple[FileEntry, ...] = ()  # files that are there as they were when they were sent


@functools.cache
def _package() -> bytes:
    """The `remote` package as canonical JSON {path: base64}."""
    package = Path(remote.contract.__file__).parents[1]
    found = {}
    for path in sorted(package.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts and path.suffix not in CODE_SUFFIXES:
            name = f"remote/{path.relative_to(package).as_posix()}"
            found[name] = base64.b64encode(path.read_bytes()).decode()
    return json.dumps(found, sort_keys=True, separators=(",", ":")).encode()


def code_digest() -> str:
    """The name under which this podctl's `remote` package is on a pod: `Layout.code` of it."""
    return hashlib.sha256(_package()).hexdigest()


def upload_code(session: Session, root: PurePosixPath | str) -> str:
    """Have the `remote` package below `root` (`Layout.root`); returns its sha256.

    One command; nothing is sent when it is there. Raises CommandFailed (no python3, disk full).
    """
    sha256 = code_digest()
    argv = ["python3", "-S", "-c", RECEIVER, str(root), sha256]
    with session.stream(argv, deadline_seconds=120) as stream:
        if stream.line(100) != b"have":
            stream.send(zlib.compress(_package(), 6))
            stream.end()
            if stream.line(100) != b"done":
                raise UploadFailed(
                    "the pod did not confirm the upload of the code", where=str(session)
                )
        stream.end()
        stream.finish().check("bringing podctl's code to the pod")
    return sha256


def files_argv(layout: Layout, verb: str, *more: str) -> list[str]:
    """The argv of one verb of remote.files, to be run in `Layout.code`."""
    return ["python3", "-S", "-m", "remote.files", verb, "--root", str(layout.root), *more]


def upload_work(
    session: Session,
    layout: Layout,
    run: str,
    snapshot: Snapshot,
    extra: Mapping[str, bytes] | None = None,
    *,
    code: str | None = None,
    begun: str | None = None,
    progress: Callable[[TransferProgress], None] | None = None,
) -> UploadReport:
    """Make `Layout.work(run)` hold exactly `snapshot` and the `extra` files.

    Idempotent: a tree that is there already costs one round trip. `code` is what `upload_code`
    returned; None calls it. `begun` is the tree that the run was started on before: where that
    lies on the disk, on a volume that outlived its pod, it stays, with what the job made of it.
    `progress` hears of each piece of what the pod lacks, and of nothing that it has; it may raise.
    A file that somebody writes meanwhile arrives as it was read, which the report says.
    Raises UploadFailed (disk full, another tree was started already), FileGone, and UsageError for
    an extra that is an input too.
    """
    parcel = UploadBatch(run, snapshot, extra or {})
    code = code or upload_code(session, layout.root)
    for _ in range(ROUNDS):
        answer = _offer(session, layout, code, parcel, progress)
        if answer.get("refused") not in ("blob-lost", "changed"):
            break
    if begun and answer.get("refused") == "started" and answer.get("tree") == begun:
        return UploadReport(len(parcel.pieces), 0, 0, begun, sum(parcel.sizes()))
    if "refused" in answer:
        raise _refusal(answer, parcel, str(session))
    times = Counter(chunk.sha256 for chunk in parcel.pieces.values())
    return UploadReport(
        len(parcel.pieces),
        sum(times[sha256] for sha256 in parcel.sent),
        sum(parcel.sent.values()),
        parcel.tree,
        sum(parcel.sizes()) - sum(parcel.sizes(parcel.sent)),
        tuple(parcel.changed[path] for path in sorted(parcel.changed)),
    )


def _offer(
    session: Session,
    layout: Layout,
    code: str,
    parcel: UploadBatch,
    progress: Callable[[TransferProgress], None] | None,
) -> dict[str, Any]:
    """One exchange; returns the pod's last word."""
    paths = parcel.paths()
    argv = files_argv(layout, "work")
    with session.stream(argv, cwd=layout.code(code), deadline_seconds=UPLOAD_SECONDS) as stream:
        stream.send(parcel.order())
        answer = _answer(stream)
        if "missing" in answer:
            wanted = [paths[sha256] for sha256 in _wanted(answer["missing"], paths)]
            count = _Count(
                len(wanted), sum(parcel.pieces[entry].size for entry in wanted), progress
            )
            for path in wanted:
                total = _send_content(stream, parcel.content(path), count.bytes_went)
                parcel.sent[parcel.pieces[path].sha256] = total
                count.file_went()
            answer = _answer(stream)
        stream.end()
        ended = stream.finish()
        if "refused" not in answer:
            ended.check("building the work folder on the pod")
    return answer


def _wanted(missing: list[Any], paths: Mapping[str, str]) -> list[str]:
    """The hashes that the pod asks for: each of them offered, none of them twice."""
    if any(type(sha256) is not str for sha256 in missing) or len(set(missing)) != len(missing):
        raise UploadFailed(
            "could not parse the pod's response to an upload", cause="no hash, or one twice"
        )
    if not paths.keys() >= set(missing):
        raise UploadFailed("the pod requested a file that was not offered")
    return missing


def _answer(stream: Stream) -> dict[str, Any]:
    try:
        value = json.loads(stream.line())
    except (ValueError, RecursionError) as error:
        raise UploadFailed(
            "could not parse the pod's response to an upload", cause=str(error)
        ) from error
    if not isinstance(value, dict) or not isinstance(value.get("missing", []), list):
        raise UploadFailed("could not parse the pod's response to an upload")
    return value


@dataclass
class _Count:
    """What of the missing files is on its way."""

    files: int
    bytes: int
    tell: Callable[[TransferProgress], None] | None
    sent_files: int = 0
    sent: int = 0  # bytes, before compression

    def bytes_went(self, size: int) -> None:
        self.sent += size
        self._tell()

    def file_went(self) -> None:
        self.sent_files += 1
        self._tell()

    def _tell(self) -> None:
        if self.tell is not None:  # a file may have grown since it was listed
            total = max(self.sent, self.bytes)
            self.tell(TransferProgress(self.sent_files, self.files, self.sent, total))


def _send_content(stream: Stream, pieces: Iterator[bytes], went: Callable[[int], None]) -> int:
    """One content as remote.files describes it, squeezed where a sample shows that it pays."""
    first = next(pieces, b"")
    worth = len(zlib.compress(first[:16384], 1)) < 0.8 * len(first[:16384])
    squeeze = zlib.compressobj(1) if worth else None
    held = [b"z" if squeeze else b"r"]
    total = 0

    def add(data: bytes) -> None:
        nonlocal total
        if data:
            held.append(struct.pack(">I", len(data)) + data)
            total += len(data)
        if sum(map(len, held)) > CHUNK:
            stream.send(b"".join(held))
            held.clear()

    add(squeeze.compress(first) if squeeze else first)
    went(len(first))
    for piece in pieces:
        add(squeeze.compress(piece) if squeeze else piece)
        went(len(piece))
    if squeeze:
        add(squeeze.flush())
    held.append(b"\0\0\0\0")
    stream.send(b"".join(held))
    return total


def _refusal(answer: Mapping[str, Any], parcel: UploadBatch, where: str) -> UploadFailed:
    why = answer["refused"]
    name = parcel.paths().get(str(answer.get("sha256"))) or next(iter(parcel.changed), "a file")
    what, hint = {
        "disk-full": (
            f"the pod's disk is too small: {answer.get('need')} bytes needed, "
            f"{answer.get('free')} free",
            "a larger volume for this stage, or fewer inputs",
        ),
        "started": ("the run was started with other inputs", "podctl stop, then run again"),
        "changed": (f"{name} changed again and again while it was being sent", UNWANTED),
        "blob-lost": (f"the pod's disk spoils {name} again and again", "use another pod"),
    }.get(str(why), (f"the pod refused the upload: {str(why)[:100]!r}", ""))
    kind = PodDiskFull if why == "disk-full" else UploadFailed
    return kind(what, where=where, hint=hint)
