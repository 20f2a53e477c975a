"""`podctl import`: the database is lost, damaged or old, and nothing else is lost with it."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from state.database import backups, kept_name, open_database
from state.schema import MIGRATIONS
from tests.emulated_cloud import until
from tests.laptop import Laptop

STATE = ".podctl"


def database(laptop: Laptop) -> Path:
    return laptop.folder / STATE / "state.db"


def lose(laptop: Laptop, *names: str) -> None:
    """Delete these of .podctl."""
    for name in names:
        path = laptop.folder / STATE / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def flip(path: Path, offset: int = 0) -> None:
    """Turn one bit of the file around."""
    data = bytearray(path.read_bytes())
    data[offset] ^= 0x10
    path.write_bytes(data)


def detached(laptop: Laptop, seconds: float = 4.0, **config: Any) -> str:
    """A job that runs on a pod while nobody drives; returns the pod."""
    laptop.write(seconds=seconds, **config)
    laptop.podctl("run", "hello", "-y", "--detach", expect=130)
    (pod,) = laptop.living_pods()
    return str(pod["id"])


def assert_came_home(laptop: Laptop) -> None:
    """The one job's artifacts are here and locked; nothing bills; the ledger is the bill."""
    lock = json.loads((laptop.folder / "locks" / "hello.json").read_text())
    assert lock["run"] == "hello-0001"
    assert (laptop.folder / "out" / "copy.txt").read_text() == "hi\n"
    assert len(laptop.cloud.state()["pods"]) == 1
    assert laptop.living_pods() == []
    assert laptop.json("cost")["total"]["usd"] > 0
    laptop.assert_books_agree()


def test_row_36_a_database_deleted_mid_run_is_rebuilt_and_the_job_comes_home(
    laptop: Laptop,
) -> None:
    """Every command refuses and names `podctl import`; that finds pod and run again; `podctl sync`
    pulls, locks and ends the pod, and the rebuilt ledger is the provider's bill."""
    pod = detached(laptop)
    lose(laptop, "state.db")
    refused = laptop.podctl("run", "hello", "-y", expect=1)
    found = laptop.json("import")
    laptop.podctl("sync")

    assert "podctl import" in refused.err
    assert found["pods"] == {pod: ["hello-0001"]}
    assert_came_home(laptop)


def test_row_36_without_the_run_folders_the_pod_itself_is_asked(laptop: Laptop) -> None:
    """What runs is read from the pod's own records over SSH, and carried on the same way."""
    pod = detached(laptop)
    lose(laptop, "state.db", "runs")
    found = laptop.json("import")
    laptop.podctl("sync")

    assert found["pods"] == {pod: ["hello-0001"]}
    assert_came_home(laptop)
