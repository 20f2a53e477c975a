"""The pseudo-terminal that podctl requests from sshd for a command."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pty:
    """A terminal for a command on the pod: the value of TERM, and the size in characters."""

    term: str
    columns: int
    rows: int
