"""The file in which notifications wait until they are sent: `.podctl/notifications.json`.

An event is on disk before it is sent, and its end is recorded, so that no kill loses one. A send
that began, and whose end is unknown, is repeated once and never again.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from controller.notifications.event import Event
from state.atomic_files import write_atomically

NAME = "notifications.json"
MAX_BYTES = 4 * 1024 * 1024
MOST_KNOWN = 500  # events that are remembered
MOST_UNCLEAR = 2  # sends with an unknown end
MOST_REFUSED = 10  # sends that certainly failed


@dataclass
class Delivery:
    """How far one event is with one destination."""

    sent: bool = False
    unclear: int = 0  # sends that began and are not known to have ended
    refused: int = 0
    error: str = ""

    @property
    def due(self) -> bool:
        return not self.sent and self.unclear < MOST_UNCLEAR and self.refused < MOST_REFUSED


@dataclass
class Entry:
    """One event, and its deliveries by the name of the destination."""

    event: Event
    deliveries: dict[str, Delivery] = field(default_factory=dict)

    @property
    def due(self) -> bool:
        return any(delivery.due for delivery in self.deliveries.values())


class Outbox:
    """Events in the order in which they happened; safe to use from two threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._entries = _read(path)

    def add(self, event: Event, destinations: tuple[str, ...]) -> bool:
        """Record an event on disk, unless it is known. Returns whether it was new."""
        with self._lock:
            if event.key in self._entries:
                return False
            deliveries = {name: Delivery() for name in destinations}
            self._entries[event.key] = Entry(event, deliveries)
            self._save()
        return True

    def due(self) -> list[tuple[Event, str]]:
        """Every event with a destination that it was not sent to."""
        with self._lock:
            return [
                (entry.event, name)
                for entry in self._entries.values()
                for name, delivery in entry.deliveries.items()
                if delivery.due
            ]

    def begin(self, event: Event, destination: str) -> None:
        """A send begins: from now on its end is unknown."""
        with self._lock:
            self._delivery(event, destination).unclear += 1
            self._save()

    def sent(self, event: Event, destination: str) -> None:
        with self._lock:
            self._delivery(event, destination).sent = True
            self._save()

    def refused(self, event: Event, destination: str, error: str) -> None:
        """The send certainly failed."""
        with self._lock:
            delivery = self._delivery(event, destination)
            delivery.unclear, delivery.refused = delivery.unclear - 1, delivery.refused + 1
            delivery.error = error
            self._save()

    def unclear(self, event: Event, destination: str, error: str) -> None:
        """The send may have arrived."""
        with self._lock:
            self._delivery(event, destination).error = error
            self._save()

    def unsent(self) -> Iterator[tuple[Event, str, Delivery]]:
        """What was tried without a known success."""
        with self._lock:
            entries = list(self._entries.values())
        for entry in entries:
            for name, delivery in entry.deliveries.items():
                if not delivery.sent and (delivery.error or delivery.unclear):
                    yield entry.event, name, delivery

    def _delivery(self, event: Event, destination: str) -> Delivery:
        return self._entries[event.key].deliveries[destination]

    def _save(self) -> None:
        excess = len(self._entries) - MOST_KNOWN
        settled = [key for key, entry in self._entries.items() if not entry.due]
        for key in settled[: max(0, excess)]:
            del self._entries[key]
        document = {"events": [asdict(entry) for entry in self._entries.values()]}
        write_atomically(self._path, json.dumps(document).encode() + b"\n")


def _read(path: Path) -> dict[str, Entry]:
    """The entries on disk; none from a file that cannot be read."""
    try:
        with path.open("rb") as file:
            document = json.loads(file.read(MAX_BYTES))
        entries = [_entry(item) for item in document["events"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}
    return {entry.event.key: entry for entry in entries}


def _entry(item: dict[str, Any]) -> Entry:
    event = Event(**{name: str(item["event"][name]) for name in ("kind", "key", "title", "text")})
    deliveries = {
        str(name): Delivery(
            bool(found["sent"]), int(found["unclear"]), int(found["refused"]), str(found["error"])
        )
        for name, found in item["deliveries"].items()
    }
    return Entry(event, deliveries)
