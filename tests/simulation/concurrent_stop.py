"""`podctl stop` in a second terminal, while another podctl drives the lease.

It has a random generator of its own, so that a seed gives the same other faults without it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from controller.leases.stop_requests import Handover, ended, record, taken_up
from state.journal import Journal
from state.stop_requests import StopRequest
from tests.simulation.fault_schedule import CALM_AT
from tests.simulation.host import Host, SimulatedController
from tests.simulation.process import Process, VirtualClock
from tests.simulation.stop_requests import ProcessRequests

SHARE = 0.15  # of histories that have one
POLL = 120.0
BIAS = "handover"


@dataclass
class ConcurrentStop:
    """The `podctl stop` commands of one history."""

    host: Host
    random_source: random.Random
    process: Callable[[], Process]
    abandoned: Callable[[], None] = lambda: None
    asked: list[StopRequest] = field(default_factory=list)

    @classmethod
    def drawn(
        cls, seed: int, bias: frozenset[str], host: Host, process: Callable[[], Process]
    ) -> ConcurrentStop | None:
        random_source = random.Random(f"stop beside {seed}")
        if "foreseen" in bias or (random_source.random() >= SHARE and BIAS not in bias):
            return None
        return cls(host, random_source, process)

    def moments(self) -> list[float]:
        return sorted(
            self.random_source.uniform(0.0, CALM_AT / 2)
            for _ in range(self.random_source.randint(1, 4))
        )

    def stop(self) -> None:
        """Run `podctl stop` for every open lease."""
        process, journal = self.process(), Journal(self.host.database)
        clock = VirtualClock(process)
        disposal = self.random_source.choice(("park", "terminate"))
        abandon = (
            "given up" if disposal == "terminate" and self.random_source.random() < 0.3 else None
        )
        asked = [
            StopRequest(
                f"{self.random_source.getrandbits(64):x}",
                lease.id,
                0,
                disposal,
                abandon,
                "stop",
                0.0,
            )
            for lease in journal.open_leases()
        ]
        self.asked += asked
        patience = self.random_source.choice((600.0, 3600.0, 20_000.0))

        def enter() -> SimulatedController | None:
            return None if self.host.busy else self.host.enter(process)

        def act() -> str:
            requests, epoch = ProcessRequests(self.host.requests, process), self.host.epoch
            handover = Handover(
                requests, journal, epoch, clock, enter, lambda *_: None, patience, POLL
            )
            session = handover.wait(asked)
            if session is not None:
                self._go_on(session, asked)
            return "stopped"

        self.host.command(process, act)

    def _go_on(self, session: SimulatedController, asked: list[StopRequest]) -> None:
        left = [request for request in asked if not ended(session.journal, request)]
        for request in left:
            self.host.requests.owners.setdefault(request.id, set()).add(session.epoch)
            if not taken_up(session.journal, request):
                session.journal.note(request.lease, "stop", record(request))
        for request in left:
            lease = session.journal.lease(request.lease)
            if lease is not None and lease.open:
                session.end(lease, abandon=request.abandon is not None)
