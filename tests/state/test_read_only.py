"""A project on a disk that takes no writes: what is known is shown, and no file is made."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from controller.project import project as of_project
from state.database import open_database
from state.errors import StateError
from state.journal import Journal
from state.last_seen import LastSeen
from state.ledger import Ledger
from state.project_lock import acquire
from state.read_only import read_into_memory
from tests.support.shell import Shell

# Its own mounts, and in them the folder read-only: as a user in a namespace where that is allowed.
READ_ONLY = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
MOUNT = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && cd "$0" && exec "$@"'


def can_mount() -> bool:
    try:
        argv = [*READ_ONLY, "sh", "-c", MOUNT, "/mnt", "true"]
        return subprocess.run(argv, capture_output=True, timeout=30, check=False).returncode == 0
    except OSError:
        return False


mounted = pytest.mark.skipif(not can_mount(), reason="no read-only mount can be made here")


def read_only(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """podctl in `folder`, where nothing can be written."""
    argv = [*READ_ONLY, "sh", "-c", MOUNT, str(folder), sys.executable, "-m", "controller", *words]
    root = str(Path(of_project.__file__).parents[2])
    return subprocess.run(
        argv,
        env=os.environ | {"PYTHONPATH": root, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def history(shell: Shell) -> None:
    """One run that failed, and a pod that the ledger says bills on."""
    with acquire(shell.project.state_dir, "test") as owner:
        journal = Journal(owner.connection, owner.epoch)
        run = journal.open_run(journal.open_lease({}), "hello", {})
        journal.finish_run(run, "failed", {})
        Ledger(owner.connection, owner.epoch).open_interval(
            pod_id="gonepod",
            lease="l0001",
            stage="hello",
            kind="compute",
            usd_per_hour=0.5,
            rate_source="provider",
            started_at=time.time(),
            run=run,
        )


@mounted
def test_status_and_cost_read_a_read_only_disk(shell: Shell) -> None:
    """Also what the provider says now, which is remembered nowhere; not a byte there changes."""
    history(shell)
    before = files(shell.project.root)
    for text, code in (("status --cached", 8), ("status", 0), ("cost", 0), ("plan hello", 0)):
        done = read_only(shell.project.root, *text.split())
        assert done.returncode == code, f"{text}: {done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr
        assert ("gonepod" in done.stdout) == (text != "plan hello")
    assert files(shell.project.root) == before
    driving = read_only(shell.project.root, "sync")
    assert driving.returncode == 2
    assert "Read-only file system" in driving.stderr
    assert "gonepod $0.5000/h" in driving.stderr


@mounted
def test_a_project_without_a_state_is_read_too(shell: Shell) -> None:
    """Nothing was run there; that is said, and no folder is made for it."""
    before = files(shell.project.root)
    for words in (["status", "--cached"], ["cost"], ["plan", "hello"]):
        done = read_only(shell.project.root, *words)
        assert done.returncode == 0, done.stderr
    assert files(shell.project.root) == before
    assert not shell.project.state_dir.exists()


def test_a_transaction_that_was_cut_off_is_no_part_of_it(tmp_path: Path) -> None:
    """A writer that was killed left its journal beside: it is undone in a copy."""
    folder, copy = tmp_path / "state", tmp_path / "copy"
    with acquire(folder, "test") as owner:
        Journal(owner.connection, owner.epoch).open_lease({"text": "whole"})
    writer = sqlite3.connect(folder / "state.db", isolation_level=None)
    writer.execute("PRAGMA cache_size = 1")
    writer.execute("BEGIN IMMEDIATE")
    insert = "INSERT INTO sighting (subject, source, at, data) VALUES (?, ?, ?, ?)"
    for number in range(500):  # more than the cache holds: it is on the disk before its end
        writer.execute(insert, (f"pod:{number}", "provider", 1.0, "{}" + " " * 2000))
    shutil.copytree(folder, copy)
    writer.rollback()
    assert (copy / "state.db-journal").stat().st_size > 0
    before = files(copy)

    found = read_into_memory(copy / "state.db")
    assert [one.data for one in Journal(found).leases()] == [{"text": "whole"}]
    assert LastSeen(found).all("pod:") == ()
    assert files(copy) == before


def test_another_version_is_said(tmp_path: Path) -> None:
    """An older state cannot be brought up to date there, and rubbish is no state."""
    path = tmp_path / "state.db"
    open_database(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 0")
    connection.close()
    with pytest.raises(StateError, match="older podctl"):
        read_into_memory(path)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 9999")
    connection.close()
    with pytest.raises(StateError, match="newer podctl"):
        read_into_memory(path)
