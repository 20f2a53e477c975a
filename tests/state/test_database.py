"""The database: private, durable, checked, migrated, copied."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from state.backups import backups
from state.database import QUICK_CHECK_BYTES, backup, installation, open_database, unfenced, writing
from state.errors import Damaged, Fenced, Newer, StateError
from state.journal import Journal
from state.schema import APPLICATION_ID, MIGRATIONS
from state.sqlite_errors import translated

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".podctl" / "state.db"


def pragma(connection: sqlite3.Connection, name: str) -> object:
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


def test_new_database_is_private_and_durable(path: Path) -> None:
    """A new database is 0600 in a 0700 folder, in rollback mode, synchronous EXTRA, marked ours."""
    os.umask(os.umask(0))  # whatever it is, the modes are exact
    connection = open_database(path)

    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert pragma(connection, "journal_mode") == "delete"
    assert pragma(connection, "synchronous") == 3
    assert pragma(connection, "foreign_keys") == 1
    assert pragma(connection, "trusted_schema") == 0
    assert pragma(connection, "application_id") == APPLICATION_ID
    assert pragma(connection, "user_version") == len(MIGRATIONS)
    assert connection.isolation_level is None


def test_every_table_is_strict(path: Path) -> None:
    """No column takes a value of another type."""
    connection = open_database(path)
    tables = connection.execute("PRAGMA table_list").fetchall()
    ours = [row for row in tables if not row[1].startswith("sqlite_")]

    assert len(ours) >= 7
    assert all(row[5] == 1 for row in ours)


def test_installation_is_named_once(path: Path) -> None:
    """The folder's random name stays the same; another folder has another."""
    first = installation(open_database(path))
    other = installation(open_database(path.parent.parent / "b" / "state.db"))

    assert installation(open_database(path)) == first
    assert len(first) == 16
    assert first != other


def test_foreign_database_is_refused(path: Path) -> None:
    """A database of another program is neither migrated nor changed."""
    path.parent.mkdir(mode=0o700)
    foreign = sqlite3.connect(path)
    foreign.execute("PRAGMA application_id = 7")
    foreign.execute("CREATE TABLE theirs (x)")
    foreign.close()
    before = path.read_bytes()

    with pytest.raises(Damaged, match="another program"):
        open_database(path)
    assert path.read_bytes() == before


def test_newer_database_is_refused(path: Path) -> None:
    """What a newer podctl wrote is not touched by this one."""
    open_database(path, migrations=[*MIGRATIONS, ("CREATE TABLE later (x INTEGER) STRICT",)])

    with pytest.raises(Newer, match=f"version {len(MIGRATIONS) + 1}"):
        open_database(path)


@pytest.mark.parametrize("what", ["folder", "file"])
def test_place_that_others_can_write_is_refused(path: Path, what: str) -> None:
    """A group-writable folder or file is refused with the command that mends it."""
    open_database(path).close()
    target = path if what == "file" else path.parent
    target.chmod(0o770)

    with pytest.raises(StateError, match="other users") as caught:
        open_database(path)
    assert caught.value.hint.startswith("chmod go-w")


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a file away needs root")
def test_database_of_another_user_is_refused(path: Path) -> None:
    """A database that belongs to somebody else is refused, even as root."""
    open_database(path).close()
    os.chown(path, 12345, 12345)

    with pytest.raises(StateError, match="belongs to user 12345"):
        open_database(path)


def test_link_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    """A symbolic link could lead the state anywhere."""
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / ".podctl").symlink_to("real")

    with pytest.raises(StateError, match="symbolic link"):
        open_database(tmp_path / ".podctl" / "state.db")


@pytest.mark.parametrize("offset", [0, 30, 4096 + 3, 3 * 4096 + 5])
def test_row_36_damage_is_found_at_opening(path: Path, offset: int) -> None:
    """Overwritten bytes are reported as damage, with the newest copy named, and nothing else."""
    connection = open_database(path)
    copy = backup(connection, path.parent / "backups")
    connection.close()
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\xa5" * 64)

    with pytest.raises(Damaged) as caught:
        open_database(path)
    if "another program" not in str(caught.value):
        assert str(copy) in caught.value.hint


def test_row_36_damage_of_a_large_database_is_found_by_whoever_writes(path: Path) -> None:
    """A reader in a hurry, after an orderly end, leaves that check to the next run or sync."""
    connection = open_database(path)
    journal = Journal(connection, 1)
    lease = journal.open_lease({}, [("hello", {"note": "x" * 5_000_000})])
    connection.close()
    assert path.stat().st_size > QUICK_CHECK_BYTES
    with path.open("r+b") as file:  # a page of the long row's overflow points to itself
        file.seek(-4096 * 20, os.SEEK_END)
        file.write(b"\xff" * 4096)

    with pytest.raises(Damaged):
        open_database(path)
    assert Journal(open_database(path, readonly=True)).lease(lease) is not None
    yesterday = sqlite3.connect(path)  # who writes makes it once a day: it takes seconds
    yesterday.execute("INSERT INTO sighting VALUES ('check', 'podctl', ?, '{}')", (time.time(),))
    yesterday.commit()
    open_database(path).close()
    yesterday.execute("UPDATE sighting SET at = at - 100000")
    yesterday.commit()
    with pytest.raises(Damaged):
        open_database(path)


@pytest.mark.parametrize("copied", [True, False])
def test_row_36_a_lost_database_is_not_begun_anew(path: Path, copied: bool) -> None:
    """A state.db that is gone is damage, with copies and without: pods may depend on it."""
    connection = open_database(path)
    if copied:
        backup(connection, path.parent / "backups")
    connection.close()
    path.unlink()

    for _ in range(2):
        with pytest.raises(Damaged, match="gone or empty"):
            open_database(path)


def test_row_36_a_flipped_bit_is_refused_or_does_no_harm(path: Path) -> None:
    """One bit, anywhere in the file: the next command names `podctl import`, or all can be read."""
    connection = open_database(path)
    journal = Journal(connection, 1)
    for number in range(12):
        lease = journal.open_lease({"number": number})
        run = journal.open_run(lease, "stage1c", {"stage": {"hours": 1.5}})
        journal.done(journal.intent(lease, "upload", run=run), {"pod": "p" * 200})
    connection.close()
    sound = path.read_bytes()
    hints = []
    for place in range(0, len(sound), len(sound) // 149):
        flipped = bytearray(sound)
        flipped[place] ^= 1 << place % 8
        path.write_bytes(flipped)
        try:
            journal = Journal(open_database(path, readonly=True))
            records = [journal.ops(one.id) for one in journal.leases()], journal.runs()
            journal.connection.close()
        except StateError as error:
            hints.append(error.hint)
        else:
            assert len(records[0]) == 12

    assert len(hints) > 10
    assert all(re.search("podctl import|move|newer", hint) for hint in hints)


def test_text_file_is_damage(path: Path) -> None:
    """A file that is no database is said to be damaged, not shown as a traceback."""
    path.parent.mkdir(mode=0o700)
    path.write_text("hello, this is not a database at all" * 100)

    with pytest.raises(Damaged):
        open_database(path)


def test_migration_is_atomic_and_copied_before(path: Path) -> None:
    """A migration that fails half-way leaves the old version; a copy was made before it."""
    open_database(path).close()
    broken = [*MIGRATIONS, ("CREATE TABLE half (x INTEGER) STRICT", "CREATE TABLE half (again)")]

    with pytest.raises(StateError):
        open_database(path, migrations=broken)

    connection = open_database(path)
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master")]
    assert "half" not in names
    assert pragma(connection, "user_version") == len(MIGRATIONS)
    (copy,) = backups(path.parent / "backups")
    assert pragma(sqlite3.connect(copy), "user_version") == len(MIGRATIONS)


def test_migration_keeps_what_was_written(path: Path) -> None:
    """Rows of the old version are there in the new one."""
    connection = open_database(path)
    Journal(connection, 1).open_lease({"nonce": "abc"})
    connection.close()
    newer = [*MIGRATIONS, ("ALTER TABLE lease ADD COLUMN colour TEXT",)]

    migrated = open_database(path, migrations=newer)

    assert [lease.data for lease in Journal(migrated).leases()] == [{"nonce": "abc"}]
    assert pragma(migrated, "user_version") == len(newer)


def test_row_36_copies_are_complete_and_only_the_newest_stay(path: Path) -> None:
    """Each copy opens with what was there at its time; five stay, all of them 0600."""
    connection = open_database(path)
    journal = Journal(connection, 1)
    for number in range(7):
        journal.open_lease({"number": number})
        copy = backup(connection, path.parent / "backups")

        assert len(Journal(sqlite3.connect(copy)).leases()) == number + 1

    found = backups(path.parent / "backups")
    assert [one.name for one in found] == [f"state-{n:06}.db" for n in range(3, 8)]
    assert all(one.stat().st_mode & 0o777 == 0o600 for one in found)
    assert len(list((path.parent / "backups").iterdir())) == 5


def test_reader_cannot_write(path: Path) -> None:
    """A connection for reading refuses even a write that needs no epoch."""
    open_database(path).close()
    reader = open_database(path, readonly=True)

    with pytest.raises(StateError, match="readonly"), unfenced(reader):
        reader.execute("UPDATE owner SET epoch = epoch + 1")


def test_wrong_epoch_writes_nothing(path: Path) -> None:
    """A transaction with an epoch that is not the owner's never begins to write."""
    connection = open_database(path)

    for epoch in (0, 2):
        with pytest.raises(Fenced), writing(connection, epoch):
            connection.execute("UPDATE owner SET epoch = epoch + 1")
    assert not connection.in_transaction
    assert connection.execute("SELECT epoch FROM owner").fetchone() == (1,)


def test_interrupted_transaction_is_rolled_back(path: Path) -> None:
    """Ctrl-C in the middle of a transaction leaves nothing of it and the connection usable."""
    connection = open_database(path)

    def interrupted() -> None:
        with writing(connection, 1):
            connection.execute("UPDATE owner SET epoch = 9")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert connection.execute("SELECT epoch FROM owner").fetchone() == (1,)
    assert Journal(connection, 1).open_lease({}) == "l0001"


def test_sqlite_error_is_ours(path: Path) -> None:
    """No sqlite3 exception leaves the state."""
    connection = open_database(path)

    with pytest.raises(StateError, match="no such table"), translated():
        connection.execute("SELECT * FROM lacking")


def test_full_disk_is_said_and_loses_nothing(path: Path) -> None:
    """A write without room fails loudly; what was there stays, and goes on once there is room."""
    connection = open_database(path)
    journal = Journal(connection, 1)
    lease = journal.open_lease({})
    pages = pragma(connection, "page_count")
    connection.execute(f"PRAGMA max_page_count = {pages}")

    with pytest.raises(StateError, match="full") as caught:
        journal.note(lease, "large", {"text": "x" * 100_000})
    assert "free some disk space" in caught.value.hint
    connection.execute("PRAGMA max_page_count = 1000000")
    journal.note(lease, "large", {"text": "x" * 100_000})
    assert len(journal.ops(lease)) == 1
    assert pragma(connection, "integrity_check") == "ok"


def test_two_writers_wait_for_one_another(path: Path) -> None:
    """A writer that does not get its turn in time says so, and writes nothing."""
    first, second = open_database(path), open_database(path)
    second.execute("PRAGMA busy_timeout = 20")
    first.execute("BEGIN IMMEDIATE")

    with pytest.raises(StateError, match="locked") as caught:
        Journal(second, 1).open_lease({})
    assert "another podctl is writing" in caught.value.hint
    first.execute("ROLLBACK")
    assert Journal(second, 1).open_lease({}) == "l0001"


_WRITER = """
import sys
from pathlib import Path
from state.database import open_database
from state.journal import Journal

journal = Journal(open_database(Path(sys.argv[1])), 1)
lease = journal.open_lease({})
while True:
    intent = journal.intent(lease, "create", {"text": "x" * 3000})
    print(intent, flush=True)
    print(journal.done(intent), flush=True)
"""


def _spawn(program: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_killed_writer_loses_nothing_it_was_told_is_written(path: Path) -> None:
    """kill -9 at ten arbitrary moments: the database opens, and every confirmed op is in it."""
    for round_number in range(10):
        writer = _spawn(_WRITER, str(path))
        assert writer.stdout is not None
        first = writer.stdout.readline()
        time.sleep(0.002 + 0.0037 * round_number)  # the arbitrary moment, not a wait
        os.kill(writer.pid, signal.SIGKILL)
        confirmed = [int(line) for line in [first, *writer.stdout] if line.endswith("\n")]
        writer.wait(10)
        writer.stdout.close()

        journal = Journal(open_database(path))
        seqs = [op.seq for op in journal.ops(journal.leases()[-1].id)]
        assert len(journal.leases()) == round_number + 1
        assert set(confirmed) <= set(seqs)
        assert len(seqs) - len(confirmed) <= 1
        assert pragma(journal.connection, "integrity_check") == "ok"
        journal.connection.close()


def test_two_processes_create_one_database(path: Path) -> None:
    """Four processes that open a new database at once make one of it."""
    program = (
        "import sys; from pathlib import Path; from state.database import *\n"
        "print(installation(open_database(Path(sys.argv[1]))))"
    )
    found = set()
    processes = [_spawn(program, str(path)) for _ in range(4)]
    for process in processes:
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        found.add(out.strip())

    assert len(found) == 1
