"""What podctl asks sshd for when a command is to have a terminal on the pod."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pty:
    """A terminal for a command on the pod: the value of TERM, and the size in characters."""

    term: str
    columns: int
    rows: int
