"""Stop requests on the simulated disk, through which two processes communicate."""

from __future__ import annotations

from dataclasses import dataclass, field

from state.stop_requests import StopRequest
from tests.simulation.process import Process


@dataclass
class StoredRequests:
    """Implements `Requests`; also remembers to which owner each request was addressed."""

    by_id: dict[str, StopRequest] = field(default_factory=dict)
    owners: dict[str, set[int]] = field(default_factory=dict)  # request -> epochs it was for

    def put(self, request: StopRequest) -> None:
        self.by_id[request.id] = request
        self.owners.setdefault(request.id, set()).add(request.epoch)

    def of(self, lease: str) -> tuple[StopRequest, ...]:
        return tuple(request for request in self.by_id.values() if request.lease == lease)

    def drop(self, request: StopRequest) -> None:
        self.by_id.pop(request.id, None)


@dataclass(frozen=True)
class ProcessRequests:
    """The view of one process, which writes nothing after it was killed."""

    stored: StoredRequests
    process: Process

    def put(self, request: StopRequest) -> None:
        self.process.effect(0.0, lambda: self.stored.put(request))

    def of(self, lease: str) -> tuple[StopRequest, ...]:
        return self.stored.of(lease)

    def drop(self, request: StopRequest) -> None:
        if not self.process.dead:
            self.stored.drop(request)
