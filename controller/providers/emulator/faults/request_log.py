"""The last requests that the emulator received, for tests."""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass
from typing import Any

MAX_REQUESTS = 500


@dataclass
class Request:
    """One request; `at` is in Unix seconds."""

    at: float
    method: str
    path: str
    status: int | None = None  # None: no response was sent


class RequestLog:
    """Keeps the last `MAX_REQUESTS` requests and counts all."""

    def __init__(self) -> None:
        self._recent: deque[Request] = deque(maxlen=MAX_REQUESTS)
        self.total = 0

    def open(self, method: str, path: str, at: float) -> Request:
        """A new entry; the caller fills in the status."""
        entry = Request(at, method, path)
        self._recent.append(entry)
        self.total += 1
        return entry

    def as_list(self) -> list[dict[str, Any]]:
        return [asdict(entry) for entry in tuple(self._recent)]
