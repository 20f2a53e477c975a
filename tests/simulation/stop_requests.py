"""Stop requests on the simulated disk, through which two processes communicate."""

from __future__ import annotations

from dataclasses import dataclass, field

from state.stop_requests import StopRequest
from tests.simulation.process import Process


@dataclass
class StoredRequests:
    """Implements `Requests`; also remembers to which owner each request was addressed."""

    there: dict[str, StopRequest] = field(default_factory=dict)
    owners: dict[str, set[int]] = field(default_factory=dict)  # request -> epochs it was for

    def put(self, request: StopRequest) -> None:
        self.there[request.id] = request
        self.owners.setdefault(request.id, set()).add(request.epoch)

    def of(self, lease: str) -> tuple[StopRequest, ...]:
        return tuple(request for request in self.there.values() if request.lease == lease)

    def drop(self, request: StopRequest) -> None:
        self.there.pop(request.id, None)


@dataclass(frozen=True)
class ProcessRequests:
    """The view of one process, which writes nothing after it was killed."""

    kept: StoredRequests
    process: Process

    def put(self, request: StopRequest) -> None:
        self.process.effect(0.0, lambda: self.kept.put(request))

    def of(self, lease: str) -> tuple[StopRequest, ...]:
        return self.kept.of(lease)

    def drop(self, request: StopRequest) -> None:
        if not self.process.dead:
            self.kept.drop(request)
