"""The process table from /proc; nothing is cached, because pids are reused.

Without /proc the table is empty.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..light_dataclasses import dataclass

PROC = Path("/proc")
SET_CHILD_SUBREAPER = 36  # linux/prctl.h
CATCHES = ("SigCgt", "SigBlk")  # a blocked signal is waited for: sigwait, signalfd

Key = tuple[int, int]


@dataclass(frozen=True)
class Process:
    """One line of the table. `start` tells it from a later process of the same number."""

    pid: int
    start: int  # clock ticks since the machine's boot
    parent: int
    session: int
    name: str
    dead: bool = False  # a zombie: only its parent can make it go
    stopped: bool = False  # by SIGSTOP or its like

    @property
    def key(self) -> Key:
        return self.pid, self.start


def table() -> dict[int, Process]:
    """Every process by its number."""
    processes = {}
    try:
        names = [name for name in os.listdir(PROC) if name.isdigit()]
    except OSError:
        return {}
    for name in names:
        if (process := read(int(name))) is not None:
            processes[process.pid] = process
    return processes


def read(pid: int) -> Process | None:
    """One process; None when it is gone."""
    try:
        text = (PROC / str(pid) / "stat").read_bytes().decode(errors="replace")
        head, _, rest = text.rpartition(")")
        fields = rest.split()
        start, parent, session = int(fields[19]), int(fields[1]), int(fields[3])
    except (OSError, ValueError, IndexError):
        return None
    name, state = head.partition("(")[2], fields[0]
    dead = state in "XZ" and _threads(pid) <= 1
    return Process(pid, start, parent, session, name, dead, state in "tT")


def _threads(pid: int) -> int:
    """A first thread may end before the others; the process lives on then."""
    try:
        return len(os.listdir(PROC / str(pid) / "task"))
    except OSError:
        return 0


def below(everything: Mapping[int, Process], roots: Iterable[int]) -> set[int]:
    """The numbers of all that descend from `roots`, without these."""
    children: dict[int, list[int]] = {}
    for process in everything.values():
        children.setdefault(process.parent, []).append(process.pid)
    pids: set[int] = set()
    queue = list(roots)
    while queue:
        new = [pid for pid in children.get(queue.pop(), []) if pid not in pids]
        pids.update(new)
        queue += new
    return pids


def variable(pid: int, name: str) -> str | None:
    """A variable of the environment with which it was started; None when it cannot be read."""
    try:
        pairs = (PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return None
    start = f"{name}=".encode()
    value = next((pair for pair in pairs if pair.startswith(start)), None)
    return None if value is None else value[len(start) :].decode(errors="replace")


def on_term(pid: int) -> str:
    """What SIGTERM does to it: "caught", "ignored" or, as for most, "default"."""
    try:
        lines = (PROC / str(pid) / "status").read_text(errors="replace").splitlines()
        sets = {
            name: int(mask, 16)
            for name, _, mask in (line.partition(":") for line in lines)
            if name in (*CATCHES, "SigIgn")
        }
    except (OSError, ValueError):
        return "default"
    bit = 1 << (signal.SIGTERM - 1)
    if any(sets.get(name, 0) & bit for name in CATCHES):
        return "caught"
    return "ignored" if sets.get("SigIgn", 0) & bit else "default"


def send(pid: int, number: signal.Signals) -> None:
    """Gone meanwhile, or another user's: no matter."""
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return


def adopt_orphans() -> bool:
    """Descendants that lose their parent become children of this process; False where they do not.

    Linux only, and from then on somebody has to collect those that end.
    """
    try:
        import ctypes

        prctl = ctypes.CDLL(None, use_errno=True).prctl
        return int(prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0)) == 0
    except (ImportError, OSError, AttributeError):
        return False
