"""What a `podctl stop` asks of the process that drives: one file a lease, until it is taken up.

A request is for one owner of the state, by its epoch: what a crash leaves behind says nothing to
the next one.
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
    """`id` is in the journal once it was taken up: so it is carried out once."""

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
        """Once more does no harm. Raises StateError where the disk takes nothing."""
        with translated(self.folder):
            private_directory(self.folder)
            content = json.dumps(asdict(request), sort_keys=True).encode() + b"\n"
            write_atomically(self.folder / request.name, content)

    def of(self, lease: str) -> tuple[StopRequest, ...]:
        """Oldest first; what cannot be read is no request."""
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
