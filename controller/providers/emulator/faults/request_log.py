"""The last requests the cloud received, for whoever tests against it."""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass
from typing import Any

KEPT = 500


@dataclass
class Request:
    at: float
    method: str
    path: str
    status: int | None = None  # None: never answered


class RequestLog:
    def __init__(self) -> None:
        self._last: deque[Request] = deque(maxlen=KEPT)
        self.total = 0

    def open(self, method: str, path: str, at: float) -> Request:
        """A new entry; the caller fills in the status."""
        entry = Request(at, method, path)
        self._last.append(entry)
        self.total += 1
        return entry

    def as_list(self) -> list[dict[str, Any]]:
        return [asdict(entry) for entry in tuple(self._last)]
