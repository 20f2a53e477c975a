"""Uploads code and inputs to the pod: content-addressed, only what is missing, atomically.

Each upload is one command on the pod. It receives the complete list, responds with the missing
hashes, receives these files only, and puts the result in place by a rename.
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
ROUNDS = 6  # attempts when blobs were lost or files changed
CODE_SUFFIXES = {".pyc", ".pyo"}

# Runs on the pod before podctl's code is there: reads one JSON object {path: base64} whose sha256
# is the folder's name, and renames the folder only after everything is written.
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
    """The result of one upload. `bytes_sent` is the payload after compression."""

    files_total: int
    files_sent: int
    bytes_sent: int
    tree: str  # digest of the work folder
    bytes_there: int = 0  # of files that were not sent, because the disk had their content
    changed: tuple[FileEntry, ...] = ()  # files that changed since they were listed, as sent


@functools.cache
def _package() -> bytes:
    """The `remote` package as canonical JSON {path: base64}."""
    package = Path(remote.contract.__file__).parents[1]
    documents = {}
    for path in sorted(package.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts and path.suffix not in CODE_SUFFIXES:
            name = f"remote/{path.relative_to(package).as_posix()}"
            documents[name] = base64.b64encode(path.read_bytes()).decode()
    return json.dumps(documents, sort_keys=True, separators=(",", ":")).encode()


def code_digest() -> str:
    """The sha256 of this podctl's `remote` package, which names its folder on a pod
    (`Layout.code`)."""
    return hashlib.sha256(_package()).hexdigest()


def upload_code(session: Session, root: PurePosixPath | str) -> str:
    """Upload the `remote` package below `root` (`Layout.root`); returns its sha256.

    One command; nothing is sent if the pod has the package. Raises CommandFailed (no python3, disk
    full).
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


def files_argv(layout: Layout, verb: str, *arguments: str) -> list[str]:
    """The argv of one verb of remote.files, to be run in `Layout.code`."""
    return ["python3", "-S", "-m", "remote.files", verb, "--root", str(layout.root), *arguments]


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

    Idempotent: a tree that exists already costs one round trip. `code` is what `upload_code`
    returned; None calls it. `begun` is the tree on which the run was started before: if it is
    still on the disk (a volume that outlived its pod), it stays, with the job's changes.
    `progress` is called for each block of the missing files; it may raise. A file that changes
    during the upload arrives as it was read, and is listed in `UploadReport.changed`.
    Raises UploadFailed (disk full, another tree was started already), FileGone, and UsageError for
    an extra file that is also an input.
    """
    batch = UploadBatch(run, snapshot, extra or {})
    code = code or upload_code(session, layout.root)
    for _ in range(ROUNDS):
        response = _offer(session, layout, code, batch, progress)
        if response.get("refused") not in ("blob-lost", "changed"):
            break
    if begun and response.get("refused") == "started" and response.get("tree") == begun:
        return UploadReport(len(batch.files), 0, 0, begun, sum(batch.sizes()))
    if "refused" in response:
        raise _refusal(response, batch, str(session))
    times = Counter(chunk.sha256 for chunk in batch.files.values())
    return UploadReport(
        len(batch.files),
        sum(times[sha256] for sha256 in batch.sent),
        sum(batch.sent.values()),
        batch.tree,
        sum(batch.sizes()) - sum(batch.sizes(batch.sent)),
        tuple(batch.changed[path] for path in sorted(batch.changed)),
    )


def _offer(
    session: Session,
    layout: Layout,
    code: str,
    batch: UploadBatch,
    progress: Callable[[TransferProgress], None] | None,
) -> dict[str, Any]:
    """One exchange; returns the pod's last response."""
    paths = batch.paths()
    argv = files_argv(layout, "work")
    with session.stream(argv, cwd=layout.code(code), deadline_seconds=UPLOAD_SECONDS) as stream:
        stream.send(batch.order())
        response = _response(stream)
        if "missing" in response:
            missing = [paths[sha256] for sha256 in _checked_hashes(response["missing"], paths)]
            count = _Count(len(missing), sum(batch.files[path].size for path in missing), progress)
            for path in missing:
                total = _send_content(stream, batch.content(path), count.add_bytes)
                batch.sent[batch.files[path].sha256] = total
                count.add_file()
            response = _response(stream)
        stream.end()
        result = stream.finish()
        if "refused" not in response:
            result.check("building the work folder on the pod")
    return response


def _checked_hashes(missing: list[Any], paths: Mapping[str, str]) -> list[str]:
    """The hashes that the pod requests, after checking that each was offered and none is
    repeated."""
    if any(type(sha256) is not str for sha256 in missing) or len(set(missing)) != len(missing):
        raise UploadFailed(
            "could not parse the pod's response to an upload", cause="an invalid or repeated hash"
        )
    if not paths.keys() >= set(missing):
        raise UploadFailed("the pod requested a file that was not offered")
    return missing


def _response(stream: Stream) -> dict[str, Any]:
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
    """Missing files and bytes sent so far."""

    files: int
    bytes: int
    report: Callable[[TransferProgress], None] | None
    sent_files: int = 0
    sent: int = 0  # bytes, before compression

    def add_bytes(self, size: int) -> None:
        self.sent += size
        self._report()

    def add_file(self) -> None:
        self.sent_files += 1
        self._report()

    def _report(self) -> None:
        if self.report is not None:  # a file may have grown since it was listed
            total = max(self.sent, self.bytes)
            self.report(TransferProgress(self.sent_files, self.files, self.sent, total))


def _send_content(stream: Stream, blocks: Iterator[bytes], sent: Callable[[int], None]) -> int:
    """Send one file in the format of remote.files, compressed if a sample shows that it pays;
    returns the bytes sent. `sent` is called with the uncompressed bytes of each block."""
    first_block = next(blocks, b"")
    compressible = len(zlib.compress(first_block[:16384], 1)) < 0.8 * len(first_block[:16384])
    compressor = zlib.compressobj(1) if compressible else None
    frames = [b"z" if compressor else b"r"]
    total = 0

    def add(data: bytes) -> None:
        nonlocal total
        if data:
            frames.append(struct.pack(">I", len(data)) + data)
            total += len(data)
        if sum(map(len, frames)) > CHUNK:
            stream.send(b"".join(frames))
            frames.clear()

    add(compressor.compress(first_block) if compressor else first_block)
    sent(len(first_block))
    for block in blocks:
        add(compressor.compress(block) if compressor else block)
        sent(len(block))
    if compressor:
        add(compressor.flush())
    frames.append(b"\0\0\0\0")
    stream.send(b"".join(frames))
    return total


def _refusal(response: Mapping[str, Any], batch: UploadBatch, where: str) -> UploadFailed:
    reason = response["refused"]
    name = batch.paths().get(str(response.get("sha256"))) or next(iter(batch.changed), "a file")
    message, hint = {
        "disk-full": (
            f"the pod's disk is too small: {response.get('need')} bytes needed, "
            f"{response.get('free')} free",
            "a larger volume for this stage, or fewer inputs",
        ),
        "started": ("the run was started with other inputs", "podctl stop, then run again"),
        "changed": (f"{name} changed repeatedly while it was being sent", UNWANTED),
        "blob-lost": (f"the pod's disk corrupts {name} repeatedly", "use another pod"),
    }.get(str(reason), (f"the pod refused the upload: {str(reason)[:100]!r}", ""))
    kind = PodDiskFull if reason == "disk-full" else UploadFailed
    return kind(message, where=where, hint=hint)
