"""The context of a recovery, and what it has added to the database."""

from __future__ import annotations

from dataclasses import dataclass, field

from controller.clock import Clock
from controller.engine.recorder import LeaseRecorder
from controller.project.project import Project
from controller.providers.base import Provider
from controller.recovery.inventory import Inventory
from state.journal import Journal
from state.ledger import Ledger
from state.project_lock import ProjectLock


@dataclass
class Recovered:
    """What was added, and what could not be."""

    pods: dict[str, list[str]] = field(default_factory=dict)  # pod → runs that are resumed on it
    runs: dict[str, str] = field(default_factory=dict)  # run that is over → outcome
    locks: list[str] = field(default_factory=list)  # stages
    billed: list[str] = field(default_factory=list)  # pods that are gone, booked by the bill
    empty: list[str] = field(default_factory=list)  # pods of ours without an unfinished run
    returned: dict[str, list[str]] = field(default_factory=dict)  # pod → runs that ended as lost
    unread: dict[str, str] = field(default_factory=dict)  # pods of ours that cannot be read → why
    others: list[str] = field(default_factory=list)  # podctl's pods with another mark and key
    remarks: list[str] = field(default_factory=list)


@dataclass
class Recovery:
    """The context of one recovery."""

    project: Project
    provider: Provider
    owner: ProjectLock
    inventory: Inventory
    clock: Clock
    recovered: Recovered = field(default_factory=Recovered)

    def __post_init__(self) -> None:
        self.journal = Journal(self.owner.connection, self.owner.epoch)
        self.ledger = Ledger(self.owner.connection, self.owner.epoch)

    def recorder(self, lease: str) -> LeaseRecorder:
        return LeaseRecorder(lease, self.journal, self.ledger, self.clock)
