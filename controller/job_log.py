"""The copy of a job's log that is kept here; its byte offsets are those on the pod."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from controller.agent_client import LOG_CHUNK, AgentClient
from controller.errors import ConnectionLost
from controller.secret import Secret
from state.scrub import PROCESS

MAX_LOG = 1024**3  # bytes of one job's log kept here
MOST_LOOKS = 2 * MAX_LOG // LOG_CHUNK  # for all of it; each look repeats some bytes
AGAIN = 2048  # bytes before the copy's end that are written again, at least


def follow_log(
    agent: AgentClient, run: str, path: Path, size: int, secrets: Iterable[Secret] = ()
) -> None:
    """`append_log` while the job runs: a disk that takes nothing now gets it at a later look."""
    with contextlib.suppress(OSError):
        append_log(agent, run, path, size, secrets)


def append_rest(
    agent: AgentClient, run: str, path: Path, size: int, secrets: Iterable[Secret] = ()
) -> None:
    """`append_log` until nothing more comes, however much the pod says that there is."""
    for _ in range(MOST_LOOKS):
        if not append_log(agent, run, path, size, secrets):
            return


def append_log(
    agent: AgentClient, run: str, path: Path, size: int, secrets: Iterable[Secret] = ()
) -> bool:
    """Append what is new, at most one chunk; a head that the pod let go of stays a hole.

    Secrets are masked by as many asterisks, so that offsets stay the pod's. Returns whether the
    copy grew. Raises OSError when the disk here takes nothing, and ConnectionLost.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    have = path.stat().st_size if path.exists() else 0
    if size <= have or have >= MAX_LOG:
        return False
    again = written_again()
    start, data = agent.log(run, max(0, have - 2 * again))
    if start > size:
        raise ConnectionLost(
            "the agent's log answer makes no sense",
            where=run,
            cause=f"it begins at byte {start} of {size}",
        )
    if start >= MAX_LOG:
        return False
    keep(path, start, masked(data, secrets), have - again)
    return start + len(data) > have


def written_again() -> int:
    """Bytes before the copy's end in which a secret may begin that the end cut in two.

    Twice as many are fetched: one that begins before those, and is cut in two by that, ends
    before what is written again, and was masked whole by an earlier look.
    """
    return max(AGAIN, PROCESS.longest)


def keep(path: Path, start: int, data: bytes, settled: int) -> None:
    """Write `data` at `start`, but for what is there before the offset `settled`."""
    known = max(0, settled - start)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.seek(start + known)
        file.write(data[known:])


def masked(data: bytes, secrets: Iterable[Secret]) -> bytes:
    """`data` with every secret and everything that looks like a key blotted out, same length."""
    for secret in secrets:
        PROCESS.add(secret.reveal())
    return PROCESS.blot(data)
