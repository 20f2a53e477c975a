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
from state.redaction import PROCESS

MAX_LOG = 1024**3  # bytes of one job's log kept here
MOST_LOOKS = 2 * MAX_LOG // LOG_CHUNK  # for all of it; each look repeats some bytes
AGAIN = 2048  # bytes before the copy's end that are written again, at least
MOST_ASIDE = 9  # copies of other pods' logs; a pod that makes up new ones fills no disk


def follow_log(
    agent: AgentClient, run: str, path: Path, size: int, secrets: Iterable[Secret] = ()
) -> None:
    """`append_log` while the job runs, where the pod's log is not as long as the copy.

    A disk that takes nothing now gets it at a later look.
    """
    with contextlib.suppress(OSError):
        if min(size, MAX_LOG) != _size(path):
            append_log(agent, run, path, secrets)


def append_rest(agent: AgentClient, run: str, path: Path, secrets: Iterable[Secret] = ()) -> None:
    """Call `append_log` until nothing more arrives, whatever size the pod reports."""
    for _ in range(MOST_LOOKS):
        if not append_log(agent, run, path, secrets):
            return


def append_log(agent: AgentClient, run: str, path: Path, secrets: Iterable[Secret] = ()) -> bool:
    """Append what is new, at most one chunk; a head that the pod let go of stays a hole.

    A copy of another log, as a disk that was lost had, is set aside, and a new one begun. Secrets
    are masked by as many asterisks, so that offsets stay the pod's. Returns whether the copy grew.
    Raises OSError when the disk here takes nothing, and ConnectionLost.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    again = rewritten()
    mark = _mark(path, 2 * again)
    piece = agent.log(run, mark.begin)
    if not mark.is_in(piece):
        set_aside(path)
        return append_log(agent, run, path, secrets)  # no copy: any log goes on from there
    if not piece.data or piece.start >= MAX_LOG:
        return False
    kept = masked(piece.data, secrets)[: MAX_LOG - piece.start]
    keep(path, piece.start, kept, mark.offset - again)
    with contextlib.suppress(OSError):  # only `--since` is less exact then
        log_times.note(path, piece.start + len(kept), time.time())
    return piece.start + len(kept) > mark.offset


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _mark(path: Path, length: int) -> LogPosition:
    """The position of the copy's end, with its last `length` bytes."""
    if not path.exists():
        return LogPosition()
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - length))
        return LogPosition(size, file.read(length))


def set_aside(path: Path) -> None:
    """Rename the copy to job.log.1, or the next number; the last number is replaced."""
    places = [path.with_name(f"{path.name}.{number}") for number in range(1, MOST_ASIDE + 1)]
    with contextlib.suppress(OSError):
        log_times.forget(path)
    path.replace(next((place for place in places if not place.exists()), places[-1]))


def rewritten() -> int:
    """Bytes before the copy's end in which a secret may begin that the end cut in two.

    Twice as many are fetched: one that begins before those, and is cut in two by that, ends
    before what is written again, and was masked whole by an earlier look.
    """
    return max(AGAIN, PROCESS.longest)


def keep(path: Path, start: int, data: bytes, settled: int) -> None:
    """Write `data` at `start`, without changing bytes before the offset `settled`."""
    known = max(0, settled - start)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.seek(start + known)
        file.write(data[known:])


def masked(data: bytes, secrets: Iterable[Secret]) -> bytes:
    """Return `data` with secrets, and what looks like a key, masked; the length is the same."""
    for secret in secrets:
        PROCESS.add(secret.reveal())
    return PROCESS.redact(data)
