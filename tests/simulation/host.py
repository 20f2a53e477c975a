"""A laptop and its user: one project, commands that are typed again when they ended badly."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache

from controller.engine.lease_context import LeaseContext, pinned, unpinned
from controller.engine.loop import drive
from controller.engine.observer import Observer
from controller.errors import PodctlError
from controller.leases.renewal import parked
from controller.leases.stop_requests import Attentive
from controller.orphans.force_terminate import ForcedTermination
from controller.planner.actions import Done, NeedsOperator
from controller.planner.journal_fold import fold, resume
from controller.planner.lease_state import LeaseState, Step
from controller.planner.pod_spec import Shape
from controller.planner.policy import Policy
from controller.providers.retry import Patience, Retrying
from jobs.stage import Stage
from state.database import unfenced
from state.journal import Lease
from state.last_seen import LastSeen
from state.locks import Locks
from state.schema import MIGRATIONS
from tests.simulation.cloud import Cloud
from tests.simulation.process import Killed, Process, RiskyJournal, RiskyLedger, VirtualClock
from tests.simulation.provider import SimulatedAccount
from tests.simulation.runtime import Files, Ground
from tests.simulation.stop_requests import KeptRequests, RequestsOf
from tests.simulation.unexpected_error import Surprise, SurprisedBooks, SurprisedHands

# Waits are long, so that a history of hours is some hundred looks; what is decided is the same.
POLICY = Policy(poll=900.0, poll_boot=75.0)
NAMES = ("stage1a", "stage1b")
HEARD = ("connection-lost", "refused")  # as `controller.leases.commands` has them


class Unseen(LastSeen):
    """Nobody asks `podctl status` here."""

    def see(self, subject: str, source: str, data: Mapping[str, object]) -> None:
        """Not kept."""


@cache
def stages() -> tuple[Stage, ...]:
    common = {
        "command": ["python", "job.py"],
        "outputs": ["out/**"],
        "criteria": [{"kind": "exists", "path": "out/x"}],
        "hours": 1.0,
        "max_hours": 2.0,
    }
    return tuple(Stage.model_validate({"name": n, "title": n, **common}) for n in NAMES)


@cache
def _template() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for migration in MIGRATIONS:
        for statement in migration:
            connection.execute(statement, {"installation": "o" * 16})
    return connection


def fresh_database() -> sqlite3.Connection:
    """An empty state database in memory."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    _template().backup(connection)
    return connection


@dataclass(frozen=True)
class Driven:
    """A lease that a process drives now."""

    lease: str
    process: Process
    since: float


@dataclass
class Laptop:
    """What survives a process: the state database, files, and who holds the lock."""

    cloud: Cloud
    policy: Policy = POLICY
    database: sqlite3.Connection = field(default_factory=fresh_database)
    files: Files = field(default_factory=Files)
    holder: Process | None = None
    exclusive: bool = True
    respects_locks: bool = True
    verifies: bool = True
    at_most_once: bool = True
    folded: dict[str, tuple[LeaseState, int]] = field(
        default_factory=dict
    )  # lease -> up to which op
    driven: Driven | None = None
    on_closed: Callable[[LeaseState], None] = lambda _: None
    on_parked: Callable[[LeaseState], None] = lambda _: None
    on_forced: Callable[[str], None] = lambda _: None
    surprise: Surprise = field(default_factory=Surprise)
    requests: KeptRequests = field(default_factory=KeptRequests)

    # -- commands ----------------------------------------------------------------------------

    def podctl(self, process: Process, act: Callable[[Office], str]) -> str:
        """One command in one process; its outcome, or `killed`, or `busy`."""
        if self.busy:
            return "busy"
        return self.command(process, lambda: act(self.enter(process)))

    @property
    def busy(self) -> bool:
        """Whether another process has the lock."""
        return self.exclusive and self.holder is not None and not self.holder.dead

    def enter(self, process: Process) -> Office:
        """The office of who has the lock from now on."""
        self.holder = process
        return self._office(process)

    def command(self, process: Process, act: Callable[[], str]) -> str:
        """Whatever it does, it ends, and the lock with it."""
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

    def _office(self, process: Process) -> Office:
        if self.exclusive or self.epoch() == 1:
            with unfenced(self.database):
                self.database.execute("UPDATE owner SET epoch = epoch + 1")
        return Office(self, process, self.epoch())

    def epoch(self) -> int:
        return int(self.database.execute("SELECT epoch FROM owner").fetchone()[0])

    def open_leases(self) -> tuple[Lease, ...]:
        return RiskyJournal(self.database).open_leases()


@dataclass
class Office:
    """The commands, as `controller.leases.commands` has them."""

    laptop: Laptop
    process: Process
    epoch: int

    def __post_init__(self) -> None:
        self.clock = VirtualClock(self.process)
        database, wall = self.laptop.database, self.clock.wall
        surprise = self.laptop.surprise
        self.journal = RiskyJournal(database, self.epoch, wall, self.process, surprise)
        self.ledger = RiskyLedger(database, self.epoch, self.process)

    def run(self) -> str:
        for lease in self.unfinished():
            if (outcome := self.drive(lease)) != "passed":
                return outcome
        left = [one for one in stages() if not self._locked(one)]
        if not left:
            return "passed"
        fate = self.laptop.cloud.fate
        volume = "nv1" if fate.network_volume else None
        shape = Shape(image="image", network_volume_id=volume)
        runs = [(stage.name, pinned(stage, shape)) for stage in left]
        wish = {"on_success": "terminate", "on_failure": "park"}
        found = parked(self.journal, self._resting(), left, shape, "simulated")
        if found is not None and not found.why_not:
            name = found.lease.id
            self.process.effect(
                0.0, lambda: self.journal.extend_lease(name, Step.RENEW, wish, runs)
            )
        else:
            name = self.process.effect(0.0, lambda: self.journal.open_lease(wish, runs))
        opened = self.journal.lease(name)
        assert opened is not None
        return self.drive(opened)

    def _resting(self) -> tuple[Lease, ...]:
        return tuple(one for one in self.journal.open_leases() if self.lease_state(one).rests())

    def sync(self) -> str:
        outcomes = [self.drive(lease) for lease in self.unfinished()]
        for lease in self._resting():
            if names := self.lease_state(lease).unpulled:
                self.journal.note(lease.id, Step.FETCH, {"runs": list(names)})
                outcomes.append(self.drive(lease))
        return next((one for one in outcomes if one != "passed"), "passed")

    def stop(self, *, abandon: bool) -> str:
        """`podctl stop --terminate`, after everything else with a reason to lose what is there."""
        for lease in self.journal.open_leases():
            wish = {"disposal": "terminate", "abandon": "given up" if abandon else None}
            self.journal.note(lease.id, Step.STOP, wish)
            self.end(lease, abandon=abandon)
        return "stopped"

    def end(self, lease: Lease, *, abandon: bool) -> None:
        """Drive it to the end that was wished for."""
        outcome = self.drive(lease)
        left = self.journal.lease(lease.id)
        if abandon and left is not None and left.open and outcome not in HEARD:
            self.force_end(lease)

    def force_end(self, lease: Lease) -> None:
        """What `podctl stop --terminate --abandon` does when the plan does not end it."""
        policy = self.laptop.policy
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
            again=policy.ask_again,
            pause=policy.poll_boot,
        ).carry_out("given up")
        self.laptop.on_forced(lease.id)

    def unfinished(self) -> tuple[Lease, ...]:
        return tuple(one for one in self.journal.open_leases() if not self.lease_state(one).rests())

    def _locked(self, stage: Stage) -> bool:
        return self.laptop.respects_locks and stage.name in self.laptop.files.certificates

    # -- one lease ---------------------------------------------------------------------------

    def lease_state(self, lease: Lease) -> LeaseState:
        """Folded from where the last command's look at it ended: many look, and little is new."""
        lease_state, seq = self.laptop.folded.get(lease.id) or (self._unfolded(lease.id), 0)
        if found := self.journal.ops(lease.id, after=seq):
            lease_state, seq = resume(lease_state, found), found[-1].seq
        self.laptop.folded[lease.id] = lease_state, seq
        return lease_state

    def _unfolded(self, lease: str) -> LeaseState:
        return fold(lease, [(one.id, one.stage) for one in self.journal.runs(lease=lease)], ())

    def drive(self, lease: Lease) -> str:
        """The real loop over a simulated world; the first run's outcome that is no pass."""
        context = self._scene(lease)
        site = self._site(context)
        surprise = self.laptop.surprise
        executor = SurprisedHands(context, site, Observer(context, site), surprise)
        books = SurprisedBooks(lease.id, self.journal, self.ledger, self.clock, surprise=surprise)
        self.laptop.driven = Driven(lease.id, self.process, self.process.hub.now)
        try:
            requests = RequestsOf(self.laptop.requests, self.process)
            world = Attentive(executor, requests, self.journal, lease.id, context.tell)
            end = drive(world, books, context.policy, self.clock, surprise.watch, surprise.decide)
        finally:
            self.laptop.driven = None
        lease_state = context.lease_state()
        if isinstance(end, Done) and end.outcome == "parked":
            self.laptop.on_parked(lease_state)
        if isinstance(end, NeedsOperator):
            return end.code
        if lease_state.closed:
            self.laptop.on_closed(lease_state)
        bad = (one.outcome or "open" for one in lease_state.wanted if one.outcome != "passed")
        return next(bad, "passed")

    def _scene(self, lease: Lease) -> LeaseContext:
        laptop, fate = self.laptop, self.laptop.cloud.fate
        runs = self.journal.runs(lease=lease.id)
        specs = {run.id: unpinned(run.spec) for run in runs}
        return LeaseContext(
            lease=lease.id,
            stages={run: stage for run, (stage, _) in specs.items()},
            shape=next(iter(specs.values()))[1],
            policy=laptop.policy,
            provider=self._provider(),
            journal=self.journal,
            ledger=self.ledger,
            last_seen=Unseen(laptop.database),
            clock=self.clock,
            owner="o" * 16,
            public_key="ssh-ed25519 AAAA",
            bootstrap="guard",
            draw_nonce=lambda: f"{fate.random.getrandbits(64):016x}",
            accept_restart=lambda _: fate.random.random() < 0.5,
        )

    def _provider(self) -> Retrying:
        account = SimulatedAccount(self.process, self.laptop.cloud)
        jitter = self.laptop.cloud.fate.random.random
        return Retrying(account, Patience(), sleep=self.clock.wait, jitter=jitter)

    def _site(self, context: LeaseContext) -> Ground:
        laptop = self.laptop
        return Ground(
            self.process,
            laptop.cloud,
            laptop.files,
            dict(context.stages),
            context,
            record_lock=self._record_lock,
            verifies=laptop.verifies,
            at_most_once=laptop.at_most_once,
        )

    def _record_lock(self, stage: str, run: str) -> None:
        locks = Locks(self.laptop.database, self.epoch, self.clock.wall)
        if locks.current(stage) is None:
            locks.lock(stage, run, "0" * 64)
