"""The local copy of a job's log; its byte offsets are those on the pod."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable
from pathlib import Path

from controller.agent import log_times
from controller.agent.client import LOG_CHUNK, AgentClient
from controller.agent.log_position import LogPosition
from controller.credentials.secret import Secret
from state.redaction import PROCESS_REDACTOR

MAX_LOG = 1024**3  # bytes of the local copy of one job's log
MAX_REQUESTS = 2 * MAX_LOG // LOG_CHUNK  # for a complete log; each request repeats some bytes
MIN_REWRITTEN = 2048  # bytes before the copy's end that are always written again
MAX_ASIDE = 9  # copies of other logs: a pod that invents new logs cannot fill the disk


def follow_log(
    agent: AgentClient, run: str, path: Path, size: int, secrets: Iterable[Secret] = ()
) -> None:
    """Call `append_log` while the job runs, if the pod's log and the copy differ in size.

    If the local disk cannot be written, a later call tries again.
    """
    with contextlib.suppress(OSError):
        if min(size, MAX_LOG) != _size(path):
            append_log(agent, run, path, secrets)


def append_rest(agent: AgentClient, run: str, path: Path, secrets: Iterable[Secret] = ()) -> None:
    """Call `append_log` until nothing more arrives, whatever size the pod reports."""
    for _ in range(MAX_REQUESTS):
        if not append_log(agent, run, path, secrets):
            return


def append_log(agent: AgentClient, run: str, path: Path, secrets: Iterable[Secret] = ()) -> bool:
    """Append at most one chunk of new bytes; a head that the pod has deleted stays a hole.

    A copy of another log (of a disk that was lost) is set aside, and a new copy is started. Secrets
    are masked by as many asterisks, so that offsets equal the pod's. Returns whether the copy grew.
    Raises OSError if the local disk cannot be written, and ConnectionLost.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    overlap = rewritten()
    position = _end_position(path, 2 * overlap)
    chunk = agent.log(run, position.begin)
    if not position.is_in(chunk):
        set_aside(path)
        return append_log(agent, run, path, secrets)  # without a copy any log matches
    if not chunk.data or chunk.start >= MAX_LOG:
        return False
    data = masked(chunk.data, secrets)[: MAX_LOG - chunk.start]
    write_at(path, chunk.start, data, position.offset - overlap)
    with contextlib.suppress(OSError):  # only `--since` is less exact then
        log_times.note(path, chunk.start + len(data), time.time())
    return chunk.start + len(data) > position.offset


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _end_position(path: Path, length: int) -> LogPosition:
    """The position of the copy's end, with its last `length` bytes."""
    if not path.exists():
        return LogPosition()
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - length))
        return LogPosition(size, file.read(length))


def set_aside(path: Path) -> None:
    """Rename the copy to job.log.1, or the next number; the last number is replaced."""
    targets = [path.with_name(f"{path.name}.{number}") for number in range(1, MAX_ASIDE + 1)]
    with contextlib.suppress(OSError):
        log_times.forget(path)
    path.replace(next((target for target in targets if not target.exists()), targets[-1]))


def rewritten() -> int:
    """Bytes before the copy's end in which a secret may begin that the end has split.

    Twice as many are fetched: a secret that is split by the begin of the fetched bytes ends before
    the rewritten bytes, and an earlier call has masked it completely.
    """
    return max(MIN_REWRITTEN, PROCESS_REDACTOR.longest)


def write_at(path: Path, start: int, data: bytes, settled: int) -> None:
    """Write `data` at `start`, without changing bytes before the offset `settled`."""
    settled_bytes = max(0, settled - start)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.seek(start + settled_bytes)
        file.write(data[settled_bytes:])


def masked(data: bytes, secrets: Iterable[Secret]) -> bytes:
    """Return `data` with secrets, and text that looks like a key, masked; the length is the
    same."""
    for secret in secrets:
        PROCESS_REDACTOR.add(secret.reveal())
    return PROCESS_REDACTOR.redact(data)
