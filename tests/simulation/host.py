"""The host: its state database and files, its project lock, and the podctl commands on it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field

from controller.engine.lease_context import LeaseContext, pinned, unpinned
from controller.engine.loop import drive
from controller.engine.observer import Observer
from controller.engine.repetition import REPEATED
from controller.errors import PodctlError
from controller.leases.renewal import reusable
from controller.leases.stop_requests import StopRequestWorld
from controller.orphans.force_terminate import ForcedTermination
from controller.planner.actions import Done, NeedsOperator
from controller.planner.journal_fold import fold, resume
from controller.planner.lease_state import LeaseState, Step
from controller.planner.pod_spec import Shape
from controller.planner.policy import Policy
from controller.providers.retry import Patience, Retrying
from jobs.stage import Stage
from state.database import unfenced
from state.journal_rows import Lease
from state.locks import Locks
from tests.simulation.cloud import Cloud
from tests.simulation.process import (
    InterruptibleJournal,
    InterruptibleLedger,
    Killed,
    Process,
    VirtualClock,
)
from tests.simulation.project import POLICY, DiscardedLastSeen, fresh_database, stages
from tests.simulation.provider import SimulatedAccount
from tests.simulation.runtime import LocalFiles, SimulatedRuntime
from tests.simulation.stop_requests import ProcessRequests, StoredRequests
from tests.simulation.unexpected_error import FailingExecutor, FailingRecorder, InjectedError

FINAL_CODES = ("connection-lost", "refused")  # as `controller.leases.commands` has them


@dataclass(frozen=True)
class DrivenLease:
    """The lease that a process is driving."""

    lease: str
    process: Process
    since: float


@dataclass
class Host:
    """What survives a process: the state database, the files and the lock."""

    cloud: Cloud
    policy: Policy = POLICY
    database: sqlite3.Connection = field(default_factory=fresh_database)
    files: LocalFiles = field(default_factory=LocalFiles)
    holder: Process | None = None
    exclusive: bool = True
    respects_locks: bool = True
    verifies: bool = True
    at_most_once: bool = True
    folded: dict[str, tuple[LeaseState, int]] = field(
        default_factory=dict
    )  # lease -> up to which op
    driven: DrivenLease | None = None
    on_closed: Callable[[LeaseState], None] = lambda _: None
    on_parked: Callable[[LeaseState], None] = lambda _: None
    on_repeated: Callable[[str], None] = lambda _: None
    on_forced: Callable[[str], None] = lambda _: None
    injected_error: InjectedError = field(default_factory=InjectedError)
    requests: StoredRequests = field(default_factory=StoredRequests)

    # -- commands ----------------------------------------------------------------------------

    def podctl(self, process: Process, act: Callable[[SimulatedController], str]) -> str:
        """Run one command in one process; returns its outcome, `killed` or `busy`."""
        if self.busy:
            return "busy"
        return self.command(process, lambda: act(self.enter(process)))

    @property
    def busy(self) -> bool:
        """Whether another process holds the lock."""
        return self.exclusive and self.holder is not None and not self.holder.dead

    def enter(self, process: Process) -> SimulatedController:
        """Take the lock for `process`; returns its controller."""
        self.holder = process
        return self._controller(process)

    def command(self, process: Process, act: Callable[[], str]) -> str:
        """Run `act`, then end the process and release its lock."""
        try:
            return act()
        except Killed:
            return "killed"
        except PodctlError as error:
            return error.code
        finally:
            process.dead = True
            if self.holder is process:
                self.holder = None

    def _controller(self, process: Process) -> SimulatedController:
        if self.exclusive or self.epoch() == 1:
            with unfenced(self.database):
                self.database.execute("UPDATE owner SET epoch = epoch + 1")
        return SimulatedController(self, process, self.epoch())

    def epoch(self) -> int:
        return int(self.database.execute("SELECT epoch FROM owner").fetchone()[0])

    def open_leases(self) -> tuple[Lease, ...]:
        return InterruptibleJournal(self.database).open_leases()


@dataclass
class SimulatedController:
    """The commands, as `controller.leases.commands` has them."""

    host: Host
    process: Process
    epoch: int

    def __post_init__(self) -> None:
        self.clock = VirtualClock(self.process)
        database, wall = self.host.database, self.clock.wall
        injected_error = self.host.injected_error
        self.journal = InterruptibleJournal(
            database, self.epoch, wall, self.process, injected_error
        )
        self.ledger = InterruptibleLedger(database, self.epoch, self.process)

    def run(self) -> str:
        for lease in self.unfinished():
            if (outcome := self.drive(lease)) != "passed":
                return outcome
        left = [stage for stage in stages() if not self._locked(stage)]
        if not left:
            return "passed"
        faults = self.host.cloud.faults
        volume = "nv1" if faults.network_volume else None
        shape = Shape(image="image", network_volume_id=volume)
        runs = [(stage.name, pinned(stage, shape)) for stage in left]
        options = {"on_success": "terminate", "on_failure": "park"}
        resting, now = self._resting(), self.clock.wall()
        match = reusable(self.journal, resting, left, shape, "simulated", now=now)
        if match is not None and not match.why_not:
            name = match.lease.id
            self.process.effect(
                0.0, lambda: self.journal.extend_lease(name, Step.RENEW, options, runs)
            )
        else:
            name = self.process.effect(0.0, lambda: self.journal.open_lease(options, runs))
        opened = self.journal.lease(name)
        assert opened is not None
        return self.drive(opened)

    def _resting(self) -> tuple[Lease, ...]:
        return tuple(
            lease for lease in self.journal.open_leases() if self.lease_state(lease).rests()
        )

    def sync(self) -> str:
        outcomes = [self.drive(lease) for lease in self.unfinished()]
        for lease in self._resting():
            if names := self.lease_state(lease).unpulled:
                self.journal.note(lease.id, Step.FETCH, {"runs": list(names)})
                outcomes.append(self.drive(lease))
        return next((outcome for outcome in outcomes if outcome != "passed"), "passed")

    def stop(self, *, abandon: bool) -> str:
        """`podctl stop --terminate`, after everything else with a reason to lose what is there."""
        for lease in self.journal.open_leases():
            request = {"disposal": "terminate", "abandon": "given up" if abandon else None}
            self.journal.note(lease.id, Step.STOP, request)
            self.end(lease, abandon=abandon)
        return "stopped"

    def end(self, lease: Lease, *, abandon: bool) -> None:
        """Drive the lease to its end."""
        outcome = self.drive(lease)
        left = self.journal.lease(lease.id)
        if abandon and left is not None and left.open and outcome not in FINAL_CODES:
            self.force_end(lease)

    def force_end(self, lease: Lease) -> None:
        """What `podctl stop --terminate --abandon` does when the planner cannot end the lease."""
        policy = self.host.policy
        ForcedTermination(
            lease.id,
            self.journal,
            self.ledger,
            self._provider(),
            self.clock,
            lambda _: None,
            lambda _: None,
            settle=policy.settle,
            patience=policy.lost,
            retry_seconds=policy.ask_again,
            pause=policy.poll_boot,
        ).carry_out("given up")
        self.host.on_forced(lease.id)

    def unfinished(self) -> tuple[Lease, ...]:
        return tuple(
            lease for lease in self.journal.open_leases() if not self.lease_state(lease).rests()
        )

    def _locked(self, stage: Stage) -> bool:
        return self.host.respects_locks and stage.name in self.host.files.certificates

    # -- one lease ---------------------------------------------------------------------------

    def lease_state(self, lease: Lease) -> LeaseState:
        """The lease's facts; only records that are newer than the last call's are folded."""
        lease_state, seq = self.host.folded.get(lease.id) or (self._unfolded(lease.id), 0)
        if operations := self.journal.ops(lease.id, after=seq):
            lease_state, seq = resume(lease_state, operations), operations[-1].seq
        self.host.folded[lease.id] = lease_state, seq
        return lease_state

    def _unfolded(self, lease: str) -> LeaseState:
        return fold(lease, [(run.id, run.stage) for run in self.journal.runs(lease=lease)], ())

    def drive(self, lease: Lease) -> str:
        """Run the real loop in the simulated world; returns the first outcome but `passed`."""
        context = self._lease_context(lease)
        runtime = self._runtime(context)
        injected_error = self.host.injected_error
        executor = FailingExecutor(context, runtime, Observer(context, runtime), injected_error)
        recorder = FailingRecorder(
            lease.id, self.journal, self.ledger, self.clock, injected_error=injected_error
        )
        self.host.driven = DrivenLease(lease.id, self.process, self.process.event_loop.now)
        try:
            requests = ProcessRequests(self.host.requests, self.process)
            world = StopRequestWorld(executor, requests, self.journal, lease.id, context.tell)
            end = drive(
                world,
                recorder,
                context.policy,
                self.clock,
                injected_error.watch,
                injected_error.decide,
            )
        finally:
            self.host.driven = None
        if isinstance(end, NeedsOperator) and REPEATED in end.what:
            self.host.on_repeated(end.what)
        lease_state = context.lease_state()
        if isinstance(end, Done) and end.outcome == "parked":
            self.host.on_parked(lease_state)
        if isinstance(end, NeedsOperator):
            return end.code
        if lease_state.closed:
            self.host.on_closed(lease_state)
        bad = (run.outcome or "open" for run in lease_state.wanted if run.outcome != "passed")
        return next(bad, "passed")

    def _lease_context(self, lease: Lease) -> LeaseContext:
        host, faults = self.host, self.host.cloud.faults
        runs = self.journal.runs(lease=lease.id)
        specs = {run.id: unpinned(run.spec) for run in runs}
        return LeaseContext(
            lease=lease.id,
            stages={run: stage for run, (stage, _) in specs.items()},
            shape=next(iter(specs.values()))[1],
            policy=host.policy,
            provider=self._provider(),
            journal=self.journal,
            ledger=self.ledger,
            last_seen=DiscardedLastSeen(host.database),
            clock=self.clock,
            owner="o" * 16,
            public_key="ssh-ed25519 AAAA",
            bootstrap="guard",
            draw_nonce=lambda: f"{faults.random.getrandbits(64):016x}",
            accept_restart=lambda _: faults.random.random() < 0.5,
        )

    def _provider(self) -> Retrying:
        account = SimulatedAccount(self.process, self.host.cloud)
        jitter = self.host.cloud.faults.random.random
        return Retrying(account, Patience(), sleep=self.clock.wait, jitter=jitter)

    def _runtime(self, context: LeaseContext) -> SimulatedRuntime:
        host = self.host
        return SimulatedRuntime(
            self.process,
            host.cloud,
            host.files,
            dict(context.stages),
            context,
            record_lock=self._record_lock,
            verifies=host.verifies,
            at_most_once=host.at_most_once,
        )

    def _record_lock(self, stage: str, run: str) -> None:
        locks = Locks(self.host.database, self.epoch, self.clock.wall)
        if locks.current(stage) is None:
            locks.lock(stage, run, "0" * 64)
