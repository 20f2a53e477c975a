"""The invariants of every history, checked against the simulated world and not podctl's output."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from controller.orphans.reconciliation import UNLISTED, unclear_creates, unknown
from controller.orphans.sweep import Ownership, sweep
from controller.planner.lease_state import LeaseState, Step
from controller.providers.base import PodStatus
from remote.contract import ENV_GUARD
from state.journal import Journal
from state.ledger import Ledger
from tests.simulation.cloud import EPOCH, Cloud
from tests.simulation.host import Host
from tests.simulation.machine import SLACK, Machine, Work

CENT = 0.01
MOMENT = 5.0  # seconds from the look that proves a pod gone to the close of its lease


class Violation(BaseException):
    """An invariant does not hold; the text starts with its name. podctl must not catch it."""


@dataclass
class InvariantChecker:
    """Checks the invariants after every event."""

    cloud: Cloud
    host: Host
    closed: list[LeaseState] = field(default_factory=list)
    _leases: dict[str, str] = field(default_factory=dict)  # nonce → lease

    def __post_init__(self) -> None:
        self.cloud.on_start = self.job_starts
        self.cloud.on_destroy = self.pod_is_destroyed
        self.host.on_closed = self.lease_closes
        self.host.on_parked = self.lease_parks
        self.host.on_forced = self.lease_is_forced
        self.host.on_repeated = self.action_is_repeated

    def check(self) -> None:
        """I1 and I1b: no pod runs longer than it may, and never two of one lease."""
        now = self.cloud.event_loop.now
        running: set[str] = set()
        for machine in self.cloud.pods.values():
            if not machine.billing:
                continue
            if machine.lies and self._believed(machine, now):
                raise Violation(f"I11: {machine.id} says that it runs, and podctl never ends it")
            if self._overdue(machine, now):
                raise Violation(
                    f"I1: {machine.id} still runs, long after its guard should have stopped it"
                )
            lease = self._lease_of(machine)
            if lease in running:
                raise Violation(f"I1b: a second pod of {lease} bills: {machine.id}")
            running.add(lease)

    def _lease_of(self, machine: Machine) -> str:
        """The lease that drew the pod's nonce, by the journal's rows."""
        if machine.nonce not in self._leases:
            self._leases[machine.nonce] = self._drawn_by(machine)
        return self._leases[machine.nonce]

    def _drawn_by(self, machine: Machine) -> str:
        rows = self.host.database.execute(
            "SELECT lease FROM op WHERE step = 'generation' AND data LIKE ?",
            (f"%{machine.nonce}%",),
        ).fetchall()
        return str(rows[0][0]) if rows else machine.id

    def _overdue(self, machine: Machine, now: float) -> bool:
        """Whether the guard should have stopped the pod, including time for its order."""
        if not machine.armed or machine.booted is None or machine.lies:
            return False  # no guard can stop it
        limits = json.loads(machine.spec.env[ENV_GUARD])
        visited = machine.beat if machine.beat is not None else machine.booted
        bounds = [machine.booted + limits["boot_grace"], visited + limits["idle"]]
        for work in machine.disk.works.values():
            if work.owner == machine.id and work.began is not None:
                bounds.append(work.began + work.budget)
            if work.owner == machine.id and work.ended is not None:
                bounds.append(max(work.ended_at, visited) + work.grace_done)
        if machine.warm is not None and machine.is_warm():
            bounds = [machine.warm.until]
        last = min(max(bounds), machine.booted + limits["hard_cap"])
        return bool(now > max(last, self.cloud.outage_until) + SLACK)

    def _believed(self, machine: Machine, now: float) -> bool:
        """Whether its job runs beyond max_hours and every grace while podctl drives the lease."""
        policy, driven = self.host.policy, self.host.driven
        if machine.claimed is None or driven is None or driven.lease != self._lease_of(machine):
            return False
        if driven.process.asleep or self.host.injected_error.struck:
            return False  # podctl is suspended, or fails for another reason, which I10 checks
        most = max((work.budget for work in machine.disk.works.values()), default=0.0)
        over = max(machine.claimed, machine.started) + most + policy.overtime
        begin = max(over, driven.since, driven.process.woke, self.cloud.outage_until)
        graces = policy.stop_grace + policy.lost + policy.last_pull + 4 * policy.poll
        return now > begin + graces + 2 * SLACK

    def job_starts(self, machine: Machine, work: Work) -> None:
        """I4 and I5: nothing locked is started, and nothing twice."""
        stage = work.run.rpartition("-")[0]
        if stage in self.host.files.certificates:
            raise Violation(f"I4: {stage} is locked, and {work.run} starts on {machine.id}")
        for other in self.cloud.pods.values():
            living = other.living
            if living is not None and living.run.rpartition("-")[0] == stage:
                raise Violation(f"I5: {work.run} starts while {living.run} runs on {other.id}")

    def pod_is_destroyed(self, machine: Machine) -> None:
        """I2: every committed output was downloaded before its only copy is destroyed."""
        if machine.disk is self.cloud.shared or self._abandoned(machine):
            return
        for work in machine.disk.works.values():
            if not work.attempt or self._was_refused(work):
                continue
            if work.ended is None and work.began is not None:
                raise Violation(f"I2: {work.run} runs on {machine.id}, which is terminated")
            if work.ended is not None and self.host.files.outputs.get(work.run) != work.output:
                raise Violation(f"I2: the output of {work.run} was only on {machine.id}")

    def _abandoned(self, machine: Machine) -> bool:
        """Whether the user gave up the files of its lease."""
        rows = self.host.database.execute(
            "SELECT data FROM op WHERE step = 'stop' AND lease = ?", (self._lease_of(machine),)
        )
        return any(json.loads(data).get("abandon") for (data,) in rows)

    def _was_refused(self, work: Work) -> bool:
        return work.ended is not None and work.ended[1] == "preflight"

    def files_are_true(self) -> None:
        """I2: every accepted file is what a job wrote."""
        for run, output in self.host.files.outputs.items():
            if output == "spoiled":
                raise Violation(f"I2: a spoiled file of {run} was accepted")

    def lease_closes(self, lease_state: LeaseState) -> None:
        """I1 and I3: no pod of the lease is left, and the ledger agrees with the bill."""
        self.closed.append(lease_state)
        self.files_are_true()
        machines = [
            machine for machine in self.cloud.pods.values() if machine.nonce in lease_state.nonces
        ]
        for machine in machines:
            if machine.status is PodStatus.TERMINATED:
                self._paid(machine, forced=self._forced(lease_state.lease))
            elif not self._denied(machine):
                raise Violation(
                    f"I1: {lease_state.lease} is closed and {machine.id} {machine.status}"
                )

    def lease_is_forced(self, lease: str) -> None:
        """I10: the lease is closed, no pod of it is left, and no ledger interval is open."""
        row = Journal(self.host.database).lease(lease)
        if row is None or row.open:
            raise Violation(f"I10: {lease} was given up and is open")
        for machine in self.cloud.pods.values():
            if self._lease_of(machine) != lease:
                continue
            if machine.status is not PodStatus.TERMINATED and not self._denied(machine):
                raise Violation(f"I10: {lease} was given up and {machine.id} {machine.status}")
            if Ledger(self.host.database).intervals(pod_id=machine.id, open_only=True):
                raise Violation(f"I10: {lease} was given up and {machine.id} is open in the ledger")

    def action_is_repeated(self, what: str) -> None:
        """I13: no action is carried out again and again without a pause."""
        raise Violation(f"I13: {what}")

    def all_given_up(self) -> None:
        """I10: every lease that the user gave up is closed."""
        for lease in self.host.open_leases():
            raise Violation(f"I10: {lease.id} was given up and is open")

    def _denied(self, machine: Machine) -> bool:
        """Whether a terminate had no effect, and neither the listing nor the id shows the pod.

        Its guard stops it, and every command warns of it as soon as it is listed again.
        """
        hidden = self.cloud.event_loop.now < machine.hidden_until + MOMENT and machine.hidden_by_id
        orphans = sweep(self.host.database, [self.cloud.view(machine)])
        return (
            machine.forgot_order
            and hidden
            and [orphan.whose for orphan in orphans] == [Ownership.STALE]
        )

    def lease_parks(self, lease_state: LeaseState) -> None:
        """I1: a parked pod does not run."""
        machine = self.cloud.pods.get(lease_state.pod or "")
        if machine is not None and machine.billing:
            raise Violation(f"I1: {lease_state.lease} is called parked and {machine.id} runs")

    def _forced(self, lease: str) -> bool:
        """Whether it was ended without the planner, and booked by the bill of that time."""
        ops = Journal(self.host.database).ops(lease)
        return any(isinstance(op.data, dict) and op.data.get("forced") for op in ops)

    def _paid(self, machine: Machine, *, forced: bool) -> None:
        ledger = Ledger(self.host.database)
        now = EPOCH + self.cloud.event_loop.now
        rows = [
            interval
            for interval in ledger.intervals(pod_id=machine.id)
            if interval.kind == "compute"
        ]
        booked = sum(interval.amount(round(now * 1000)) for interval in rows) / 3.6e15
        billed = self.cloud.billed(machine)
        if not rows and not self._found_on_the_bill(machine):
            raise Violation(f"I3: {machine.id} was billed ${billed:.4f} and is in no ledger")
        if rows and not forced and abs(booked - billed) > CENT + machine.usd_per_hour / 3600.0:
            raise Violation(f"I3: {machine.id}: ledger ${booked:.4f}, bill ${billed:.4f}")

    def _found_on_the_bill(self, machine: Machine) -> bool:
        """Whether `podctl run` warns of this pod, which no listing ever showed.

        A pod that podctl terminated was listed, so the exception does not cover it.
        """
        if machine.stopped_by == "order":
            return False
        journal, now = Journal(self.host.database), EPOCH + self.cloud.event_loop.now
        windows = unclear_creates(journal, now)
        strange = unknown(self.cloud.records(), {}, (), windows)
        return any(charge.pod_id == machine.id and charge.whose == UNLISTED for charge in strange)

    def requests_are_kept_to(self) -> None:
        """I12: each stop request is carried out once, by the owner to which it was addressed."""
        written: set[str] = set()
        owners = self.host.requests.owners
        for lease in Journal(self.host.database).leases():
            for op in Journal(self.host.database).ops(lease.id):
                asked = op.data.get("request") if op.step == Step.STOP else None
                if asked is None:
                    continue
                if asked in written:
                    raise Violation(f"I12: {lease.id} was stopped twice by one request")
                if op.epoch not in owners.get(asked, ()):
                    raise Violation(f"I12: {lease.id} was stopped by a request to another owner")
                written.add(asked)

    def at_the_end(self, *, came_back: bool) -> None:
        """I9: every lease is closed if the user came back; otherwise no guarded pod bills."""
        self.requests_are_kept_to()
        if self.cloud.pending:
            raise Violation("a create has not committed yet: the history is too short")
        if came_back and (left := self.host.open_leases()):
            raise Violation(f"I9: {left[0].id} never closed")
        for machine in self.cloud.pods.values():
            promised = (machine.armed and not machine.lies) or came_back
            if machine.billing and promised:
                raise Violation(f"I1: {machine.id} still bills")
