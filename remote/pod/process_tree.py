"""Finds all processes of a job, also after `setsid`, a double fork or `nohup`.

Every process of a job descends from its supervisor, which adopts its orphans; and it carries a mark
in its environment, by which it is found, with all of its session, when that supervisor has died.
"""

from __future__ import annotations

import os

from ..contract import ENV_MARK, ENV_TOOL
from ..light_dataclasses import dataclass, field
from . import processes
from .processes import Key, Process

NAMED = 4  # processes that are told by their names


@dataclass(frozen=True)
class Member:
    """One living process of a job, and what SIGTERM does to it."""

    process: Process
    on_term: str

    @property
    def key(self) -> Key:
        return self.process.key


def mark(boot_id: str, run: str, attempt: int) -> dict[str, str]:
    """The variable that tells whose a process is. No two lives of a container share one."""
    return {ENV_MARK: f"{boot_id}/{run}/{attempt}"}


@dataclass
class JobTree:
    """What is left of the jobs of one life of this container."""

    boot_id: str
    root: int | None = field(default_factory=os.getpid)  # a supervisor; None: by the mark alone
    others: frozenset[int] = frozenset()  # numbers known to be the job's by other means
    _zombies: set[Key] = field(default_factory=set)  # as last seen

    def members(self) -> dict[int, Member]:
        """The living processes of the job, without the supervisor's own tools."""
        everything = processes.table()
        pids = set() if self.root is None else self._children(everything)
        pids |= {pid for pid in everything if pid not in pids and self._marked(pid)}
        pids |= self.others & set(everything)
        sessions = {everything[pid].session for pid in pids} - {0, os.getsid(0)}
        pids |= {pid for pid, process in everything.items() if process.session in sessions}
        pids |= processes.below(everything, pids)
        pids -= {os.getpid(), self.root}
        return {
            pid: Member(everything[pid], processes.on_term(pid))
            for pid in sorted(pids)
            if not everything[pid].dead
        }

    def _children(self, everything: dict[int, Process]) -> set[int]:
        """Those of the supervisor that are no tools of its own."""
        return {
            pid
            for pid, process in everything.items()
            if process.parent == self.root and processes.variable(pid, ENV_TOOL) is None
        }

    def _marked(self, pid: int) -> bool:
        return (processes.variable(pid, ENV_MARK) or "").startswith(f"{self.boot_id}/")

    def collect(self, own_pid: int) -> None:
        """Reap dead orphans, except `own_pid`, the job's first process: its starter waits for it.

        Only what was dead before is taken: the dead of this process's own threads are theirs.
        """
        dead = {
            process.key
            for process in processes.table().values()
            if process.dead and process.parent == os.getpid() and process.pid != own_pid
        }
        for pid, _ in dead & self._zombies:
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                continue
        self._zombies = dead


def names(members: dict[int, Member]) -> str:
    """Names of up to NAMED members with their pids, in ASCII."""
    texts = [f"{ascii(member.process.name)[1:-1]} ({pid})" for pid, member in members.items()][
        :NAMED
    ]
    more = len(members) - len(texts)
    return ", ".join(texts) + (f" and {more} more" if more else "")
