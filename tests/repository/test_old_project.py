"""A project folder of podctl before its modules moved into packages: it opens as it did.

`old_project/` was written by that version: one run that passed and is locked, and one whose job was
still at work. The database is kept as SQL text, `.podctl` as `records`; keys are made anew.
"""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from controller.ssh.host_keys import ensure_key
from tests.support.emulated_cloud import EmulatedCloud
from tests.support.laptop import Laptop

WRITTEN = Path(__file__).with_name("old_project")


@pytest.fixture
def old(tmp_path: Path, cloud: EmulatedCloud) -> Laptop:
    """A copy of that folder, with an account that has none of its pods."""
    folder = tmp_path / "project"
    shutil.copytree(WRITTEN, folder, ignore=shutil.ignore_patterns("records"))
    records = folder / ".podctl"
    shutil.copytree(WRITTEN / "records", records, ignore=shutil.ignore_patterns("state.sql"))
    with sqlite3.connect(records / "state.db") as database:
        database.executescript((WRITTEN / "records" / "state.sql").read_text())
    database.close()
    ensure_key(records)
    return Laptop(folder, cloud)


def test_its_runs_costs_and_lock_are_shown(old: Laptop) -> None:
    """The passed run with its cost, the unfinished run with its pod, and the lock, which verifies
    and is current: podctl's own modules are no part of a stage that runs the user's program."""
    status = old.json("status", "--cached", expect=8)
    cost = old.json("cost")
    locks = old.podctl("locks").out
    verified = old.podctl("verify").out
    reason = old.podctl("why", "hello").out

    assert [(run["run"], run["state"]) for run in status["runs"]] == [
        ("hello-0001", "passed"),
        ("later-0001", "unknown"),
    ]
    assert [pod["pod"] for pod in status["pods"]] == ["iuxpj4wdy0wwn7"]
    assert [row["name"] for row in cost["stages"]] == ["hello", "later"]
    assert "current" in locks
    assert "hello-0001" in locks
    assert "PASS" in verified
    assert "hello is current" in reason


def test_its_unfinished_run_is_resumed_to_an_end(old: Laptop) -> None:
    """Its pod is gone, so `sync` says so, rents nothing, and closes the lease."""
    synced = old.podctl("sync", expect=1)
    again = old.podctl("sync")

    assert "pod iuxpj4wdy0wwn7 disappeared" in synced.err
    assert "lease l0002 is closed" in synced.err
    assert "nothing is unfinished" in again.err
    assert old.creates() == []
