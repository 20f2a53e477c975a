"""The journal: append-only, fenced, without secrets, and as a model says after any history."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from state.database import open_database
from state.errors import Fenced, StateError
from state.journal import Journal
from state.last_seen import LastSeen
from state.locks import Locks
from state.project_lock import ProjectLock, acquire

KEY = "rpa_" + "A1b2" * 10


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[ProjectLock]:
    with acquire(tmp_path / ".podctl", "test") as found:
        yield found


@pytest.fixture
def journal(owner: ProjectLock) -> Journal:
    return Journal(owner.connection, owner.epoch, clock=iter(range(1000, 9999)).__next__)


def test_intent_is_pending_until_its_outcome(journal: Journal) -> None:
    """An intent without outcome is what a crash leaves; done or fail settles it."""
    lease = journal.open_lease({"nonce": "ab"})
    run = journal.open_run(lease, "stage1c", {"hours": 2})
    first = journal.intent(lease, "create", {"offer": "L40S"})
    second = journal.intent(lease, "upload", run=run)

    assert [op.seq for op in journal.pending(lease)] == [first, second]
    journal.done(first, {"pod": "p1"})
    journal.fail(second, {"why": "cut"})
    assert journal.pending(lease) == ()
    ops = journal.ops(lease)
    assert [(op.step, op.phase, op.run, op.of) for op in ops] == [
        ("create", "intent", None, None),
        ("upload", "intent", run, None),
        ("create", "done", None, first),
        ("upload", "fail", run, second),
    ]
    assert ops[2].data == {"pod": "p1"}
    assert [op.at for op in ops] == sorted(op.at for op in ops)
    assert journal.ops(lease, after=ops[1].seq) == ops[2:]


def test_an_intent_has_one_outcome(journal: Journal) -> None:
    """A second outcome, or an outcome of something that is no intent, is refused."""
    lease = journal.open_lease({})
    intent = journal.intent(lease, "create")
    done = journal.done(intent)

    for wrong in (intent, done, 999):
        with pytest.raises(StateError):
            journal.fail(wrong)
    assert len(journal.ops(lease)) == 2


def test_runs_are_numbered_by_stage(journal: Journal) -> None:
    """Run names count up per stage, across leases."""
    first, second = journal.open_lease({}), journal.open_lease({})

    assert (first, second) == ("l0001", "l0002")
    assert journal.open_run(first, "stage1c", {}) == "stage1c-0001"
    assert journal.open_run(second, "stage1c", {}) == "stage1c-0002"
    assert journal.open_run(second, "stage1d", {}) == "stage1d-0001"
    assert [run.id for run in journal.runs("stage1c")] == ["stage1c-0001", "stage1c-0002"]
    assert [run.id for run in journal.runs(lease=second)] == ["stage1c-0002", "stage1d-0001"]


@pytest.mark.parametrize("stage", ["", "../x", "a/b", "A", "x" * 40, "a\n", "1a"])
def test_run_is_named_after_a_stage_only(journal: Journal, stage: str) -> None:
    """A run's name becomes a folder's: nothing but a stage's name may start it."""
    lease = journal.open_lease({})

    with pytest.raises(StateError):
        journal.open_run(lease, stage, {})


def test_finished_is_finished(journal: Journal) -> None:
    """A run is finished once and a lease closed once; neither can be taken back."""
    lease = journal.open_lease({})
    run = journal.open_run(lease, "stage1c", {})
    journal.finish_run(run, "passed", {"rc": 0})
    journal.close_lease(lease, "passed")

    with pytest.raises(StateError, match="once"):
        journal.finish_run(run, "failed")
    with pytest.raises(StateError, match="once"):
        journal.close_lease(lease, "failed")
    with pytest.raises(StateError, match="no run"):
        journal.finish_run("stage1c-0009", "passed")
    found = journal.run(run)
    assert found is not None
    assert (found.outcome, found.result, found.open) == ("passed", {"rc": 0}, False)
    assert journal.open_leases() == ()
    assert journal.runs(open_only=True) == ()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE op SET step = 'other'",
        "DELETE FROM op",
        "REPLACE INTO op SELECT seq, at, lease, run, 'x', phase, of, data, epoch FROM op",
        "DELETE FROM lease",
        "UPDATE lease SET data = '{}', closed_at = 1, outcome = 'x'",
        "DELETE FROM run",
        "UPDATE run SET spec = '{}', finished_at = 1, outcome = 'x'",
        "UPDATE run SET outcome = 'x'",
        "DELETE FROM owner",
        "UPDATE owner SET epoch = epoch - 1",
        "UPDATE stage_lock SET reason = 'x'",
        "DELETE FROM stage_lock",
        "REPLACE INTO stage_lock SELECT seq, at, stage, 'unlocked', run, 'x', 'x', epoch"
        " FROM stage_lock",
        "DELETE FROM interval",
    ],
)
def test_history_cannot_be_rewritten(owner: ProjectLock, journal: Journal, statement: str) -> None:
    """Not even with SQL: the database itself refuses."""
    lease = journal.open_lease({"a": 1})
    journal.open_run(lease, "stage1c", {"a": 1})
    journal.intent(lease, "create")
    Locks(owner.connection, owner.epoch).lock("stage1c", None, "f" * 64)
    owner.connection.execute(
        "INSERT INTO interval VALUES (1, 'p', 'l', NULL, 's', 'disk', 1, 'offer', 0, NULL, NULL)"
    )
    before = list(owner.connection.iterdump())

    with pytest.raises(sqlite3.IntegrityError):
        owner.connection.execute(statement)
    assert list(owner.connection.iterdump()) == before


@pytest.mark.parametrize("secret", [KEY, "hf_" + "x" * 34, "Authorization: Bearer abcdef123456xyz"])
def test_secrets_do_not_reach_the_disk(owner: ProjectLock, journal: Journal, secret: str) -> None:
    """What we plan with a key in it is refused; what others said is masked."""
    lease = journal.open_lease({})
    intent = journal.intent(lease, "create")
    for write in (
        lambda: journal.open_lease({"x": [secret]}),
        lambda: journal.open_run(lease, "stage1c", {"argv": ["--token", secret]}),
        lambda: journal.intent(lease, "create", {secret: 1}),
    ):
        with pytest.raises(StateError, match="secret") as caught:
            write()
        assert secret not in str(caught.value)
    journal.fail(intent, {"why": f"refused: {secret} is not valid"})
    journal.note(lease, "said", {"text": f"key={secret}"})
    LastSeen(owner.connection).see("pod:a", "provider", {"env": {"K": secret}})

    raw = b"".join(path.read_bytes() for path in owner.folder.iterdir() if path.is_file())
    assert secret.encode() not in raw
    assert "[redacted]" in journal.ops(lease)[1].data["why"]


@pytest.mark.parametrize("data", [{"x": float("nan")}, {"x": object()}, {"x": b"raw"}])
def test_only_json_is_written(journal: Journal, data: dict[str, object]) -> None:
    """What is not JSON is refused before anything is written."""
    with pytest.raises(StateError, match="not JSON"):
        journal.open_lease(data)
    assert journal.leases() == ()


def test_unknown_lease_and_run_are_refused(journal: Journal) -> None:
    """An op belongs to a lease that is there."""
    with pytest.raises(StateError):
        journal.intent("l0009", "create")
    with pytest.raises(StateError):
        journal.note(journal.open_lease({}), "x", run="stage1c-0001")


def test_lock_and_unlock_take_turns(owner: ProjectLock) -> None:
    """A locked stage cannot be locked again, nor an unlocked one unlocked; history stays."""
    locks = Locks(owner.connection, owner.epoch)
    with pytest.raises(StateError, match="not locked"):
        locks.unlock("stage1c", "why not")
    locks.lock("stage1c", "stage1c-0001", "a" * 64)
    with pytest.raises(StateError, match="once"):
        locks.lock("stage1c", "stage1c-0002", "b" * 64)
    locks.lock("stage1d", None, "c" * 64)
    locks.unlock("stage1c", "new data")

    assert locks.current("stage1c") is None
    assert [lock.stage for lock in locks.all()] == ["stage1d"]
    assert [(row.kind, row.reason) for row in locks.history("stage1c")] == [
        ("locked", ""),
        ("unlocked", "new data"),
    ]


def test_sighting_is_the_last_one(owner: ProjectLock) -> None:
    """Only the newest observation of a subject is kept, with its source and time."""
    times = iter([10.0, 5.0, 7.0])
    sightings = LastSeen(owner.connection, clock=times.__next__)
    sightings.see("pod:a", "provider", {"status": "RUNNING"})
    sightings.see("pod:a", "agent", {"status": "EXITED"})  # a clock set back does not freeze it
    sightings.see("run:r", "agent", {})

    found = sightings.last("pod:a")
    assert found is not None
    assert (found.source, found.at, found.data) == ("agent", 5.0, {"status": "EXITED"})
    assert sightings.last("pod:b") is None
    assert [one.subject for one in sightings.all("pod:")] == ["pod:a"]


@dataclass
class Model:
    """What the journal should say, kept in plain lists."""

    leases: dict[str, str | None] = field(default_factory=dict)  # outcome
    runs: dict[str, str | None] = field(default_factory=dict)
    ops: dict[str, list[tuple[int, str, int | None]]] = field(default_factory=dict)
    settled: set[int] = field(default_factory=set)


class Histories(RuleBasedStateMachine):
    """Any order of writes, crashes and take-overs."""

    leases = Bundle("leases")
    runs = Bundle("runs")
    intents = Bundle("intents")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="journal-"))
        self.model = Model()
        self.become_owner()

    def become_owner(self) -> None:
        self.owner = acquire(self.folder / ".podctl", "test")
        # No power is cut here: a process's death is survived without waiting for the disk.
        self.owner.connection.execute("PRAGMA synchronous = OFF")
        self.journal = Journal(self.owner.connection, self.owner.epoch)

    def teardown(self) -> None:
        self.owner.close()
        shutil.rmtree(self.folder)

    @rule(target=leases)
    def open_lease(self) -> str:
        lease = self.journal.open_lease({"n": len(self.model.leases)})
        assert lease not in self.model.leases
        self.model.leases[lease], self.model.ops[lease] = None, []
        return lease

    @rule(target=runs, lease=leases, stage=st.sampled_from(["stage1a", "stage1c"]))
    def open_run(self, lease: str, stage: str) -> str:
        run = self.journal.open_run(lease, stage, {"stage": stage})
        assert run not in self.model.runs
        self.model.runs[run] = None
        return run

    @rule(target=intents, lease=leases, step=st.sampled_from(["create", "upload"]))
    def intent(self, lease: str, step: str) -> int:
        seq = self.journal.intent(lease, step)
        self.model.ops[lease].append((seq, "intent", None))
        return seq

    @rule(lease=leases)
    def note(self, lease: str) -> None:
        self.model.ops[lease].append((self.journal.note(lease, "n"), "note", None))

    @rule(intent=intents, phase=st.sampled_from(["done", "fail"]))
    def settle(self, intent: int, phase: str) -> None:
        write = self.journal.done if phase == "done" else self.journal.fail
        if intent in self.model.settled:
            with pytest.raises(StateError):
                write(intent)
            return
        lease = next(
            name for name, ops in self.model.ops.items() if (intent, "intent", None) in ops
        )
        self.model.ops[lease].append((write(intent), phase, intent))
        self.model.settled.add(intent)

    @rule(run=runs, outcome=st.sampled_from(["passed", "failed"]))
    def finish(self, run: str, outcome: str) -> None:
        if self.model.runs[run] is not None:
            with pytest.raises(StateError):
                self.journal.finish_run(run, outcome)
            return
        self.journal.finish_run(run, outcome)
        self.model.runs[run] = outcome

    @rule(lease=leases)
    def close(self, lease: str) -> None:
        if self.model.leases[lease] is not None:
            with pytest.raises(StateError):
                self.journal.close_lease(lease, "again")
            return
        self.journal.close_lease(lease, "over")
        self.model.leases[lease] = "over"

    @rule(lease=leases)
    def crash_in_a_transaction(self, lease: str) -> None:
        """The process dies before COMMIT: the next one finds nothing of it."""
        self.owner.connection.execute("BEGIN IMMEDIATE")
        self.owner.connection.execute(
            "UPDATE lease SET closed_at = 1, outcome = 'x' WHERE id = ? AND closed_at IS NULL",
            (lease,),
        )
        self.take_over()

    @rule()
    def take_over(self) -> None:
        """Another process becomes the owner; whatever the old one still writes is refused."""
        self.owner.close()
        late = open_database(self.owner.folder / "state.db")
        old = Journal(late, self.owner.epoch)
        self.become_owner()
        with pytest.raises(Fenced):
            old.open_lease({})
        late.close()

    @invariant()
    def agrees(self) -> None:
        journal, model = self.journal, self.model
        assert {lease.id: lease.outcome for lease in journal.leases()} == model.leases
        assert {run.id: run.outcome for run in journal.runs()} == model.runs
        for lease, ops in model.ops.items():
            assert [(op.seq, op.phase, op.of) for op in journal.ops(lease)] == ops
            meant = [seq for seq, phase, _ in ops if phase == "intent"]
            pending = [op.seq for op in journal.pending(lease)]
            assert pending == [seq for seq in meant if seq not in model.settled]


TestHistories = Histories.TestCase
TestHistories.settings = settings(
    max_examples=20,
    stateful_step_count=20,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
