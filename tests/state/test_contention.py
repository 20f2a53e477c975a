"""A state that cannot be had for a while: who drives waits, says so, and then goes on as before."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from controller.billing_pods import BillingPods
from state.contention import Contention, retry_while_busy, stop_retrying
from state.database import open_database
from state.errors import Unavailable
from state.journal import Journal
from state.ledger import Ledger
from state.project_lock import acquire
from tests.support.laptop import Laptop

RENTED = {"pod_id": "p1", "stage": "s", "usd_per_hour": 0.69, "rate_source": "provider"}


class Hours:
    """A clock that its own waiting moves, and what happens meanwhile."""

    def __init__(self, meanwhile: Callable[[float], None] = lambda _: None) -> None:
        self.at, self.said, self._meanwhile = 0.0, list[str](), meanwhile

    def sleep(self, seconds: float) -> None:
        self.at += seconds
        self._meanwhile(self.at)

    def patience(self, seconds: float = 1800.0) -> Contention:
        return Contention(self.said.append, seconds, self.sleep, lambda: self.at)


def holder(path: Path) -> sqlite3.Connection:
    """Another process's connection that lets nobody else even read."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    return other


def test_a_locked_database_is_waited_for(tmp_path: Path) -> None:
    """Reads and writes are done once it is free, each once; the reason is said at once, then every
    minute."""
    folder = tmp_path / ".podctl"
    with acquire(folder, "test") as owner:
        other = holder(folder / "state.db")
        hours = Hours(lambda at: other.rollback() if at > 150 and other.in_transaction else None)
        retry_while_busy(owner.connection, hours.patience())
        journal = Journal(owner.connection, owner.epoch)
        lease = journal.open_lease({})
        assert hours.at > 150
        assert 2 <= len(hours.said) <= 4
        assert "locked: waiting, for up to 30 minutes" in hours.said[0]
        assert [one.id for one in journal.leases()] == [lease]


def test_patience_ends(tmp_path: Path) -> None:
    """A database that stays locked ends the command; a command that reads has no patience."""
    folder = tmp_path / ".podctl"
    with acquire(folder, "test") as owner:
        journal, hours = Journal(owner.connection, owner.epoch), Hours()
        retry_while_busy(owner.connection, hours.patience(300))
        other = holder(folder / "state.db")
        with pytest.raises(Unavailable, match="locked"):
            journal.open_lease({})
        assert 300 <= hours.at < 330
        stop_retrying(owner.connection)
        with pytest.raises(Unavailable):
            journal.leases()
        other.rollback()
        assert journal.leases() == ()


def test_a_full_disk_is_waited_for(tmp_path: Path) -> None:
    """SQLite's own word for it; the transaction that met it is done again as a whole."""
    with acquire(tmp_path / ".podctl", "test") as owner:
        connection = owner.connection
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")

        def make_room(at: float) -> None:
            connection.execute("PRAGMA max_page_count = 100000" if at > 70 else "SELECT 1")

        hours = Hours(make_room)
        retry_while_busy(connection, hours.patience())
        journal = Journal(connection, owner.epoch)
        lease = journal.open_lease({"text": "x" * 100_000})
        assert "full: waiting" in hours.said[0]
        found = journal.lease(lease)
        assert found is not None
        assert len(found.data["text"]) == 100_000


def test_what_bills_is_told_past_the_lock(tmp_path: Path) -> None:
    """Pod and price, though the ledger cannot be read in order; and a pod that is not in it yet."""
    folder = tmp_path / ".podctl"
    with acquire(folder, "test") as owner:
        Ledger(owner.connection, owner.epoch).open_interval(
            **RENTED, lease="l0001", kind="compute", started_at=1.0
        )
        other = holder(folder / "state.db")
        bills = BillingPods(folder / "state.db")
        assert bills.words() == "still billing: pod p1 $0.6900/h"
        bills.unwritten["p2"] = 1.0
        assert bills.words() == "still billing: pod p1 $0.6900/h, pod p2 $1.0000/h"
        bills.reported = "the pod is kept: still billing: pod p1 $0.6900/h"
        assert "p2" in bills.unreported()
        del bills.unwritten["p2"]
        assert bills.unreported() == ""
        other.rollback()
    assert BillingPods(tmp_path / "none").words() == ""
    (tmp_path / "rubbish").write_text("rubbish" * 1000)
    assert "running pods keep running and billing" in BillingPods(tmp_path / "rubbish").words()
    open_database(tmp_path / "new" / "state.db").close()
    assert BillingPods(tmp_path / "new" / "state.db").words() == ""


def test_every_way_out_says_what_bills(laptop: Laptop) -> None:
    """Detached, busy, an error of the command line's own, and a database that is locked for long:
    pod and price each time; then the run goes on to its end, with no second pod."""
    laptop.write()
    with laptop.held():
        left = laptop.podctl("run", "hello", "-y", "--detach")
        (pod,) = (one["id"] for one in laptop.living_pods())
        priced = f"still billing: pod {pod} $0.69"
        assert priced in left.err
        with acquire(laptop.folder / ".podctl", "test"):
            assert priced in laptop.podctl("sync", expect=75).err
            assert priced in laptop.podctl("stop", "--wait", "0.01", expect=75).err
        assert priced in laptop.podctl("stop", "nobody", "-y", expect=3).err
        other = holder(laptop.folder / ".podctl" / "state.db")
        process = laptop.start("sync")
        assert process.stderr is not None
        said = next(line for line in process.stderr if "waiting, for up to" in line)
        assert priced in said
        other.rollback()
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err
    assert "still billing" not in err  # nothing does
    laptop.assert_done()
