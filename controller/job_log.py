"""The copy of a job's log that is kept here; its byte offsets are those on the pod."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Sequence
from pathlib import Path

from controller.agent_client import AgentClient

SHORTEST = 6  # characters: shorter values would blot out half the log
KEYS = re.compile(
    rb"\b(?:rpa_[A-Za-z0-9_]{16,}|hf_[A-Za-z0-9]{20,})|(?<=Bearer )[A-Za-z0-9._-]{16,}"
)
MAX_LOG = 1024**3  # bytes of one job's log kept here


OVERLAP = 4096  # bytes fetched again, so that no secret hides across two chunks


def follow_log(
    agent: AgentClient, run: str, path: Path, size: int, secrets: Sequence[str] = ()
) -> None:
    """`append_log` while the job runs: a disk that takes nothing now gets it at a later look."""
    with contextlib.suppress(OSError):
        append_log(agent, run, path, size, secrets)


def append_log(
    agent: AgentClient, run: str, path: Path, size: int, secrets: Sequence[str] = ()
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
    with path.open("r+b" if path.exists() else "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.seek(start)
        file.write(masked(data, secrets))


def masked(data: bytes, secrets: Sequence[str]) -> bytes:
    """`data` with every secret and everything that looks like a key blotted out, same length."""
    for secret in secrets:
        if len(secret) >= SHORTEST:
            data = data.replace(secret.encode(), b"*" * len(secret.encode()))
    return KEYS.sub(lambda found: b"*" * len(found[0]), data)
