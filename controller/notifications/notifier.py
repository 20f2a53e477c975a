"""Notifies the user of a lease's events, without delaying or failing what drives it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from controller.incident import Incident, attempt
from controller.notifications import delivery
from controller.notifications.event import Event, events_of
from controller.notifications.outbox import NAME, Outbox
from controller.planner.actions import Action
from controller.planner.job_progress import JobProgress
from controller.planner.observation import Observation
from controller.terminal.sanitize import clean_line
from state.redaction import PROCESS_REDACTOR

if TYPE_CHECKING:
    from controller.project.project import Project

PAUSES = (1.0, 4.0, 15.0, 60.0)  # seconds before another try of what was refused
IDLE_SECONDS = 60.0  # between two looks for something to send
CLOSE_SECONDS = 10.0  # that the end of a command waits for what is not sent yet


@dataclass
class Notifier:
    """Sends from a thread of its own; what it cannot send now, a later command sends."""

    name: str  # of the project
    kinds: frozenset[str]
    destinations: Mapping[str, str]  # variable → address
    outbox: Outbox
    warn: Callable[[str], None]
    pauses: tuple[float, ...] = PAUSES
    _pace: JobProgress = field(default_factory=JobProgress)
    _job: str = ""
    _wake: threading.Event = field(default_factory=threading.Event)
    _ending: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _given_up: frozenset[tuple[str, str]] = frozenset()  # before this process

    def __post_init__(self) -> None:
        unsent = self.outbox.unsent()
        self._given_up = frozenset((event.key, name) for event, name, one in unsent if not one.due)

    @classmethod
    def of(cls, project: Project, warn: Callable[[str], None]) -> Notifier | None:
        """None unless podctl.toml wants notifications and a variable says where they go."""
        wanted = project.config.notify
        if not wanted.on:
            return None
        addresses = {name: os.environ.get(name, "").strip() for name in wanted.to}
        destinations = {name: value for name, value in addresses.items() if value}
        for value in destinations.values():
            if not value.startswith(delivery.COMMAND):
                PROCESS_REDACTOR.add(value)
        if not destinations:
            return None
        outbox = Outbox(project.state_dir / NAME)
        kinds = frozenset(wanted.on)
        return cls(project.config.project.name, kinds, destinations, outbox, warn)

    def observe(self, observation: Observation, action: Action) -> None:
        """Record the events that are new, and have them sent."""
        run = observation.lease.current
        status = observation.job.contact.status if observation.job.contact else None
        if run is not None and status is not None:
            if self._job != (job := f"{run.run} {status.attempt}"):
                self._job, self._pace = job, JobProgress()
            self._pace.see(status.progress.step, observation.now)
        for event in events_of(self.name, observation, action, self._pace):
            if event.kind in self.kinds:
                self.outbox.add(_shown(event), tuple(self.destinations))
        self.send_due()

    def send_due(self) -> None:
        """Send what waits, in the background."""
        if self._thread is None and self._waiting():
            work = partial(attempt, self._work)
            self._thread = threading.Thread(target=work, name="notifications", daemon=True)
            self._thread.start()
        self._wake.set()

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Wait a little for what is not sent, and warn of what could not be."""
        self.send_due()
        self._ending.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(seconds)
        for event, name, found in self.outbox.unsent():
            if (event.key, name) in self._given_up:
                continue
            later = "podctl sync tries again" if found.due else "it is not tried again"
            why = clean_line(found.error) or "its end is unknown"
            self.warn(f"notification not sent to {name}: {event.title} ({why}); {later}")

    def _waiting(self) -> list[tuple[Event, str]]:
        return [(event, name) for event, name in self.outbox.due() if name in self.destinations]

    def _work(self) -> None:
        """Send what is due whenever there is something, until the end."""
        while True:
            self._wake.wait(IDLE_SECONDS)
            self._wake.clear()
            last = self._ending.is_set()
            self._send_all()
            if last:
                return

    def _send_all(self) -> None:
        """Send until nothing is due; pauses grow while sends are refused."""
        for pause in (*self.pauses, 0.0):
            sent = [self._sent(event, name) for event, name in self._waiting()]
            if all(sent) or self._ending.wait(pause):
                return

    def _sent(self, event: Event, name: str) -> bool:
        """Send one notification to one destination; returns whether it arrived."""
        self.outbox.begin(event, name)
        send = partial(delivery.send, self.destinations[name], event)
        try:
            failure = attempt(send, let_pass=(delivery.DeliveryError,))
        except delivery.DeliveryError as error:
            settle = self.outbox.unclear if error.unclear else self.outbox.refused
            settle(event, name, PROCESS_REDACTOR(clean_line(str(error))))
            return False
        if isinstance(failure, Incident):  # of Apprise perhaps; the other messages go on
            self.outbox.unclear(event, name, PROCESS_REDACTOR(clean_line(failure.text)))
            return False
        self.outbox.sent(event, name)
        return True


def deliver_waiting(project: Project, warn: Callable[[str], None]) -> None:
    """Send what an earlier command could not send, and warn of addresses that are missing."""
    for name in project.config.notify.to if project.config.notify.on else ():
        if not os.environ.get(name, "").strip():
            warn(f"no notifications: the variable {name} is not set")
    notifier = Notifier.of(project, warn)
    if notifier is not None and notifier.outbox.due():
        notifier.close()


def _shown(event: Event) -> Event:
    """`event` without secrets and control characters: parts of its text come from a pod."""
    return replace(
        event,
        title=PROCESS_REDACTOR(clean_line(event.title)),
        text=PROCESS_REDACTOR(clean_line(event.text)),
    )
