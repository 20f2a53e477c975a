"""The copy of a job's log that is kept here; its byte offsets are those on the pod."""

from __future__ import annotations

import os
from pathlib import Path

from controller.agent_client import AgentClient

MAX_LOG = 1024**3  # bytes of one job's log kept here


def follow_log(agent: AgentClient, run: str, path: Path, size: int) -> None:
    """Append what is new, at most one chunk; a head that the pod let go of stays a hole."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    have = path.stat().st_size if path.exists() else 0
    if size <= have or have >= MAX_LOG:
        return
    start, data = agent.log(run, have)
    with path.open("r+b" if path.exists() else "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.seek(max(start, have))
        file.write(data[max(0, have - start) :])
