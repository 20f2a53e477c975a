"""Requests of `podctl stop` to the process that drives a lease: one file each.

A request addresses one owner of the state, by its epoch: one left behind by a crash has no effect
on the next owner.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from state.atomic_files import private_directory, write_atomically
from state.sqlite_errors import translated

FOLDER = "stop-requests"


@dataclass(frozen=True)
class StopRequest:
    """One request; its `id` is in the journal once it was accepted, so it is carried out once."""

    id: str
    lease: str
    epoch: int  # of the owner that it is for
    disposal: str  # terminate | park
    abandon: str | None  # the reason for which unpulled artifacts may be lost
    who: str
    at: float  # Unix seconds

    @property
    def name(self) -> str:
        return f"{self.lease}.{self.id}.json"


@dataclass(frozen=True)
class StopRequests:
    """The requests below `state_dir`, a project's .podctl."""

    state_dir: Path

    @property
    def folder(self) -> Path:
        return self.state_dir / FOLDER

    def put(self, request: StopRequest) -> None:
        """Write the request; idempotent. Raises StateError where the disk takes nothing."""
        with translated(self.folder):
            private_directory(self.folder)
            content = json.dumps(asdict(request), sort_keys=True).encode() + b"\n"
            write_atomically(self.folder / request.name, content)

    def of(self, lease: str) -> tuple[StopRequest, ...]:
        """The lease's requests, oldest first; unreadable files are ignored."""
        return tuple(sorted(self._of(lease), key=lambda request: (request.at, request.id)))

    def drop(self, request: StopRequest) -> None:
        with translated(self.folder):
            (self.folder / request.name).unlink(missing_ok=True)

    def _of(self, lease: str) -> Iterator[StopRequest]:
        try:
            names = [name for name in os.listdir(self.folder) if name.startswith(f"{lease}.")]
        except OSError:  # nobody ever asked for anything
            return
        for name in names:
            request = _read(self.folder / name)
            if request is not None and request.lease == lease and request.name == name:
                yield request


def _read(path: Path) -> StopRequest | None:
    try:
        document = json.loads(path.read_bytes())
        abandon = document["abandon"]
        return StopRequest(
            id=str(document["id"]),
            lease=str(document["lease"]),
            epoch=int(document["epoch"]),
            disposal="terminate" if document["disposal"] == "terminate" else "park",
            abandon=None if abandon is None else str(abandon),
            who=str(document["who"]),
            at=float(document["at"]),
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
