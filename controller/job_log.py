"""The copy of a job's log that is kept here; its byte offsets are those on the pod."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from controller.agent_client import AgentClient
from controller.secret import Secret
from state.scrub import PROCESS

MAX_LOG = 1024**3  # bytes of one job's log kept here
OVERLAP = 4096  # bytes fetched again, so that no secret hides across two chunks
SEEN_WHOLE = OVERLAP // 2  # of these, what is not written again: a secret may begin before it


def follow_log(
    agent: AgentClient, run: str, path: Path, size: int, secrets: Iterable[Secret] = ()
) -> None:
    """`append_log` while the job runs: a disk that takes nothing now gets it at a later look."""
    with contextlib.suppress(OSError):
        append_log(agent, run, path, size, secrets)


def append_log(
    agent: AgentClient, run: str, path: Path, size: int, secrets: Iterable[Secret] = ()
) -> None:
    """Append what is new, at most one chunk; a head that the pod let go of stays a hole.

    Secrets are masked by as many asterisks, so that offsets stay the pod's. Raises OSError when
    the disk here takes nothing, and ConnectionLost.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    have = path.stat().st_size if path.exists() else 0
    if size <= have or have >= MAX_LOG:
        return
    start, data = agent.log(run, max(0, have - OVERLAP))
    keep(path, start, masked(data, secrets), have)


def keep(path: Path, start: int, data: bytes, have: int) -> None:
    """Write `data` at `start`, but for the part that an earlier look saw with more before it.

    There a secret may have been cut in two now, and was masked whole then.
    """
    known = max(0, have - SEEN_WHOLE - start)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.seek(start + known)
        file.write(data[known:])


def masked(data: bytes, secrets: Iterable[Secret]) -> bytes:
    """`data` with every secret and everything that looks like a key blotted out, same length."""
    for secret in secrets:
        PROCESS.add(secret.reveal())
    return PROCESS.blot(data)
