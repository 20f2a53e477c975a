"""How a job's processes are ended: each is told once, who saves is left in peace, then all go.

A launcher that handles SIGTERM passes it on, so what is below it is not told beside it. One that
does not would die at once, its scripts' next commands unsaid and its pipes broken under those that
save: it is held still until they have done so. Whoever may not have heard of the end, because what
stands above it handled the signal and kept it, is told at half the time.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping

from ..light_dataclasses import dataclass, field
from . import processes
from .process_tree import JobTree, Member
from .processes import Key

KILL_SECONDS = 10.0  # for SIGKILL to do its work; a process stuck in the kernel is left behind

Order = tuple[int, signal.Signals]


@dataclass
class Telling:
    """Who was told what. `orders` is what to send now; nothing is sent here."""

    present: frozenset[Key]  # who was there when the end began
    told: set[Key] = field(default_factory=set)
    held: set[Key] = field(default_factory=set)
    behind: set[Key] = field(default_factory=set)  # were seen below one that handles SIGTERM

    def orders(self, members: Mapping[int, Member], late: bool) -> list[Order]:
        """`late` is true once those are told that may not have heard of it."""
        saving = any(member.on_term == "caught" for member in members.values())
        parents = {member.process.parent for member in members.values()}
        orders: list[Order] = []
        for pid, member in members.items():
            above = _handler_above(member, members)
            if above is not None:
                self.behind.add(member.key)
            if member.key in self.told:
                continue
            if member.on_term == "caught":
                due = self._due(member, above, late)
            else:
                due = not saving
                if saving and above is None and pid in parents and member.key not in self.held:
                    self.held.add(member.key)
                    orders.append((pid, signal.SIGSTOP))
            if due:
                orders += self._tell(member)
        return orders

    def _due(self, member: Member, above: Member | None, late: bool) -> bool:
        """Whether one that handles SIGTERM is to hear of it from us, and now."""
        if above is None:
            return late or member.key not in self.behind
        # A session of its own is a launcher's doing that means to pass the signal on by itself.
        return (
            late and member.key in self.present and member.process.session == above.process.session
        )

    def _tell(self, member: Member) -> list[Order]:
        self.told.add(member.key)
        pid, still = member.process.pid, member.process.stopped or member.key in self.held
        return [(pid, signal.SIGTERM), *([(pid, signal.SIGCONT)] if still else [])]


def _handler_above(member: Member, members: Mapping[int, Member]) -> Member | None:
    """The nearest ancestor in the job that handles SIGTERM."""
    visited = {member.process.pid}
    above = members.get(member.process.parent)
    while above is not None and above.process.pid not in visited:
        if above.on_term == "caught":
            return above
        visited.add(above.process.pid)
        above = members.get(above.process.parent)
    return None


class Termination:
    """One end of one job: call `step` until it returns True."""

    def __init__(self, tree: JobTree, grace: float) -> None:
        self._tree = tree
        self._telling: Telling | None = None
        self._began = time.monotonic()
        self._grace = grace
        self.left: dict[int, Member] = {}  # as last seen

    def hurry(self, grace: float) -> None:
        """From now on only so many seconds, where that is sooner."""
        now = time.monotonic()
        if now + grace < self._began + self._grace:
            self._began, self._grace = now, grace

    def step(self) -> bool:
        """Look and send what is due; True when nothing is left, or what is left will not go."""
        members = self.left = self._tree.members()
        used = time.monotonic() - self._began
        if not members or used > self._grace + KILL_SECONDS:
            return True
        if used >= self._grace:
            orders = [(pid, signal.SIGKILL) for pid in members]
        else:
            if self._telling is None:
                self._telling = Telling(frozenset(member.key for member in members.values()))
            orders = self._telling.orders(members, used >= self._grace / 2)
        for pid, number in orders:
            processes.send(pid, number)
        return False
