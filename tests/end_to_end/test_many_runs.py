"""A project with thousands of runs: what commands ask does not grow with what is over."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from controller.diagnostics.drill_results import newest
from controller.errors import NotFound
from controller.orphans.reconciliation import unclear_creates
from controller.orphans.sweep import Ownership, sweep
from controller.orphans.warnings import RECENT
from controller.planner.journal_fold import lease_state_of
from controller.planner.lease_state import Step
from controller.project.project import Project
from controller.providers.base import Pod, PodStatus
from controller.status.overview import read_overview
from controller.status.target import find_target
from state.database import open_database
from state.journal import Journal
from state.ledger import Ledger
from state.project_lock import ProjectLock, acquire
from state.schema import MIGRATIONS

NOW = 2_000_000_000.0


def nonce_of(number: int) -> str:
    return f"{number:016x}"


def write_lease(
    owner: ProjectLock, number: int, *, answer: str = "done", closed: bool = True
) -> str:
    """A lease with one run and one pod, as a drive leaves it; `answer` is of its create."""
    journal = Journal(owner.connection, owner.epoch)
    lease = journal.open_lease({}, [("hello", {"stage": {"name": "hello"}})])
    (run,) = journal.runs(lease=lease)
    journal.note(lease, Step.GENERATION, {"number": 1, "nonce": nonce_of(number)})
    create = journal.intent(lease, Step.CREATE, {"offer": "A40", "usd_per_hour": 0.4})
    if answer == "done":
        journal.done(create, {"pod": f"pod{number}", "usd_per_hour": 0.4})
        Ledger(owner.connection, owner.epoch).open_interval(
            pod_id=f"pod{number}", lease=lease, run=run.id, stage="hello", kind="compute",
            usd_per_hour=0.4, rate_source="offer", started_at=NOW - 100,
        )  # fmt: skip
    elif answer:
        journal.fail(create, {"kind": answer, "why": "no ambiguous answer", "offer": "A40"})
    if closed:
        Ledger(owner.connection, owner.epoch).close_all(f"pod{number}", NOW, "provider")
        journal.finish_run(run.id, "passed")
        journal.close_lease(lease, "passed")
    return lease


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[ProjectLock]:
    (tmp_path / "podctl.toml").write_text("")
    project = Project(tmp_path)
    project.prepare()
    with acquire(project.state_dir, "test") as found:
        yield found


@contextmanager
def counted(connection: sqlite3.Connection) -> Iterator[list[str]]:
    """The statements that are carried out in the block."""
    said: list[str] = []
    connection.set_trace_callback(said.append)
    yield said
    connection.set_trace_callback(None)


def listed(number: int) -> Pod:
    nonce = nonce_of(number)
    env = {"PODCTL_NONCE": nonce}
    return Pod(f"pod{number}", f"podctl-hello-{nonce}", PodStatus.RUNNING, env=env)


QUESTIONS: dict[str, Callable[[ProjectLock], object]] = {
    "gc": lambda owner: sweep(owner.connection, [listed(1), listed(99)]),
    "unclear": lambda owner: unclear_creates(Journal(owner.connection), NOW, NOW - RECENT),
    "status": lambda owner: read_overview(Project(owner.folder.parent), owner.connection, NOW),
    "target": lambda owner: find_target(Journal(owner.connection), "pod1"),
    "proof": lambda owner: newest(Journal(owner.connection), "account"),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_what_is_asked_does_not_grow_with_what_is_over(owner: ProjectLock, question: str) -> None:
    """As many statements with forty leases as with five: none that is closed is folded."""
    counts = []
    for first, last in ((1, 6), (6, 41)):
        for number in range(first, last):
            write_lease(owner, number)
        with counted(owner.connection) as said:
            QUESTIONS[question](owner)
        counts.append(len(said))

    assert counts[0] == counts[1]


def test_what_is_asked_has_an_index(owner: ProjectLock) -> None:
    """No question reads a table of records from one end to the other."""
    for number in range(1, 6):
        write_lease(owner, number)
    write_lease(owner, 6, closed=False)
    with counted(owner.connection) as said:
        for ask in QUESTIONS.values():
            ask(owner)
        Ledger(owner.connection).intervals(open_only=True)
        Ledger(owner.connection).spent(NOW)
        Journal(owner.connection).open_leases()
    plans = [
        (row[3], query)
        for query in said
        if query.lstrip().startswith("SELECT")
        for row in owner.connection.execute(f"EXPLAIN QUERY PLAN {query}")
    ]
    scans = [(detail, query) for detail, query in plans if detail.startswith("SCAN")]
    whole = [one for one in scans if "USING" not in one[0] and "total" not in one[0]]

    assert len(plans) > 20
    assert [one for one in whole if any(name in one[0] for name in ("op", "run", "interval"))] == []


def test_a_pods_nonce_says_whose_it_is_however_old(owner: ProjectLock) -> None:
    """The index has what folding every lease would give."""
    leases = [write_lease(owner, number, closed=number != 3) for number in range(1, 6)]
    journal = Journal(owner.connection)
    folded = {nonce: one for one in leases for nonce in lease_state_of(journal, one).nonces}
    whose = {one.pod: one.whose for one in sweep(owner.connection, [listed(3), listed(4)])}

    assert journal.nonces() == folded
    assert whose == {"pod3": Ownership.LIVE, "pod4": Ownership.STALE}


def test_creates_without_an_answer_are_found_among_all(owner: ProjectLock) -> None:
    """Only an answer that says yes or no settles one, whatever words a refusal has."""
    for number, answer in enumerate(("done", "refused", "ambiguous", "", "capacity"), 1):
        write_lease(owner, number, answer=answer)
    journal = Journal(owner.connection)
    found = [one.lease for one in unclear_creates(journal, NOW)]
    later = unclear_creates(journal, NOW, since=NOW * 2)

    assert found == ["l0003", "l0004"]
    assert later == ()


def test_the_newest_runs_are_the_newest_of_each_stage_and_all_that_are_open(
    owner: ProjectLock,
) -> None:
    """With how many there were of each."""
    write_lease(owner, 1, closed=False)
    write_lease(owner, 2)
    write_lease(owner, 3)
    journal = Journal(owner.connection)

    assert [run.id for run in journal.newest_runs()] == ["hello-0001", "hello-0003"]
    assert journal.run_counts() == {"hello": 3}
    assert journal.newest_run("other") is None


def test_a_pod_is_found_by_its_name_among_old_runs(owner: ProjectLock) -> None:
    """The ledger knows whose it was."""
    for number in range(1, 5):
        write_lease(owner, number)
    journal = Journal(owner.connection)

    assert find_target(journal, "pod2").run == "hello-0002"
    assert find_target(journal, "hello").run == "hello-0004"
    assert find_target(journal, "hello-0001").pod == "pod1"
    with pytest.raises(NotFound):
        find_target(journal, "pod9")


def test_a_database_of_the_first_version_gets_the_indexes(tmp_path: Path) -> None:
    """What is in it stays, and a copy of it is kept."""
    path = tmp_path / "state" / "state.db"
    connection = open_database(path, migrations=MIGRATIONS[:1])
    journal = Journal(connection, 1)
    journal.note(journal.open_lease({}), Step.GENERATION, {"number": 1, "nonce": nonce_of(7)})
    connection.close()
    fresh = open_database(path)

    assert Journal(fresh).nonces() == {nonce_of(7): "l0001"}
    assert len(list((path.parent / "backups").iterdir())) == 1
