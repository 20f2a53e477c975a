"""The context of a command, before it holds the project lock and while it holds it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from controller.agent.connection import PodConnection
from controller.engine.lease_context import terms, unpinned
from controller.errors import Busy
from controller.leases.lease_policy import lease_policy
from controller.leases.resting_pod import resting_line
from controller.planner.journal_fold import lease_state_of
from controller.planner.lease_state import LeaseState
from controller.planner.pod_spec import Shape, with_image
from controller.planner.policy import Policy
from controller.preflight.volume_place import at_volume
from controller.project.pod_settings import shape_of
from controller.project.project import Project
from controller.project.provider import base_url, open_provider
from controller.providers.prefetch import Prefetching
from controller.ssh.host_keys import ensure_key
from controller.terminal.terminal import Terminal
from jobs.stage import Stage
from state.contention import Contention, retry_while_busy
from state.errors import OwnedElsewhere
from state.journal import Journal
from state.journal_rows import Lease
from state.ledger import Ledger
from state.locks import Locks, StageLock
from state.project_lock import ProjectLock, acquire


@dataclass(frozen=True)
class CommandContext:
    """What a command works with before it holds the project lock."""

    project: Project
    provider: Prefetching
    terminal: Terminal
    shape: Shape

    @classmethod
    def of(cls, project: Project, terminal: Terminal) -> CommandContext:
        """The context of a command for `project`. Sends nothing to the provider."""
        return cls(project, open_provider(project), terminal, shape_of(project, base_url(project)))

    @contextmanager
    def owned(self, command: str, wait_seconds: float = 0.0) -> Iterator[ProjectSession]:
        """Hold the project lock for `command`, waiting at most `wait_seconds` for it.

        Raises: Busy, naming the process that holds the lock.
        """
        self.terminal.bills.drive(self.project.database)
        self.project.prepare()
        contention = Contention(self._warn_of_wait)
        try:
            owner = contention.call(partial(acquire, self.project.state_dir, command, wait_seconds))
        except OwnedElsewhere as error:
            raise Busy(error.what, where=str(self.project.state_dir), hint=error.hint) from error
        with owner:
            retry_while_busy(owner.connection, contention)
            if owner.moved_from:
                self.terminal.warn(
                    f"this project was last used on {owner.moved_from}: if a podctl still runs "
                    "there, each pod obeys the one that connected last"
                )
            ensure_key(self.project.state_dir)
            session = ProjectSession.of(self, owner)
            try:
                yield session
            finally:
                for connection in session.connections.values():
                    connection.abandon()

    def _warn_of_wait(self, why: str) -> None:
        """The database is busy, and pods bill meanwhile."""
        billing = self.terminal.bills.words()
        self.terminal.warn(f"{why}; {billing}" if billing else why)


@dataclass(frozen=True)
class ProjectSession:
    """What a command works with while it holds the project lock."""

    context: CommandContext
    owner: ProjectLock
    journal: Journal
    ledger: Ledger
    # Begun before its lease is driven, by lease; what is left of them is closed with the session.
    connections: dict[str, PodConnection] = field(default_factory=dict)
    unlisted: frozenset[str] = frozenset()  # resting leases whose pod the provider does not list

    @classmethod
    def of(cls, context: CommandContext, owner: ProjectLock) -> ProjectSession:
        connection = owner.connection
        return cls(
            context, owner, Journal(connection, owner.epoch), Ledger(connection, owner.epoch)
        )

    def with_image(self, stages: Sequence[Stage]) -> ProjectSession:
        """The same for a pod of `stages`, which may have an image of their own."""
        shape = with_image(self.context.shape, stages)
        return replace(self, context=replace(self.context, shape=shape))

    def at_volume(self, stages: Sequence[Stage]) -> ProjectSession:
        """The same for pods where the project's network volume is. Raises as `at_volume`."""
        shape = at_volume(self.context.provider, stages, self.context.shape)
        if shape.network_volume_id is not None and shape.data_centers:
            places = ", ".join(shape.data_centers)
            self.context.terminal.say(
                f"pods are rented in {places}, where network volume {shape.network_volume_id} is"
            )
        return replace(self, context=replace(self.context, shape=shape))

    def with_unlisted(self, leases: Iterable[str]) -> ProjectSession:
        """The same, knowing that the provider does not list the pods of `leases`."""
        return replace(self, unlisted=frozenset(leases))

    def stages_of(self, lease: Lease) -> tuple[str, ...]:
        """The names of the stages of a lease."""
        return tuple(run.stage for run in self.journal.runs(lease=lease.id))

    def recorded_stages(self, lease: Lease) -> tuple[Stage, ...]:
        """The stages of a lease as they were when it was opened."""
        return tuple(unpinned(run.spec)[0] for run in self.journal.runs(lease=lease.id))

    def names_of(self, lease: Lease) -> set[str]:
        """Every name that a user may give for the lease: its id, stages, runs and pods."""
        return set(self.state_of(lease).names)

    def state_of(self, lease: Lease) -> LeaseState:
        """What the journal records of the lease."""
        return lease_state_of(self.journal, lease.id)

    def locks(self) -> dict[str, StageLock]:
        """The locks in force, by stage, as the database records them."""
        return {lock.stage: lock for lock in Locks(self.owner.connection).all()}

    def policy(self, lease_terms: dict[str, Any], budget_usd: float | None = None) -> Policy:
        """The policy of a lease that was opened with `lease_terms`, on this project's provider."""
        return lease_policy(
            self.context.project, self.context.provider.name, lease_terms, budget_usd
        )

    def unfinished(self) -> tuple[Lease, ...]:
        """Open leases that have something left to do; the others wait for the user."""
        resting = {lease.id for lease in self.resting()}
        return tuple(lease for lease in self.journal.open_leases() if lease.id not in resting)

    def resting(self) -> tuple[Lease, ...]:
        """Leases whose pod is parked, or was to be kept running, until the user ends them."""
        return tuple(lease for lease in self.journal.open_leases() if self._rests(lease))

    def _rests(self, lease: Lease) -> bool:
        wish = terms(self.journal, lease)
        kept, kept_failed = (wish.get(name) == "keep" for name in ("on_success", "on_failure"))
        return self.state_of(lease).rests(kept=kept, kept_failed=kept_failed)

    def report_resting(self) -> None:
        """Say which pods wait for the user, what they cost, and the command that ends them."""
        for lease in self.resting():
            lease_state = self.state_of(lease)
            if lease_state.pod is not None and lease_state.runs:
                rate = self.usd_per_hour(lease_state.pod)
                listed = lease.id not in self.unlisted
                line = resting_line(lease_state, rate, time.time(), listed=listed)
                self.context.terminal.say(line)
                self.context.terminal.bills.reported += f"\n{line}"

    def usd_per_hour(self, pod: str) -> float:
        """What the ledger says that the pod bills now."""
        return sum(row.usd_per_hour for row in self.ledger.intervals(pod_id=pod, open_only=True))
