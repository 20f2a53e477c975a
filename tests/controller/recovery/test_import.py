"""`podctl import`: the database is lost, damaged or old, and nothing else is lost with it."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.diagnostics.doctor import public_key
from controller.project.run_folder import Order, RunFolder
from remote.contract import ENV_NONCE, ENV_OWNER
from state.backups import backups
from state.database import kept_name
from tests.support.emulated_cloud import until
from tests.support.laptop import Laptop
from tests.support.shell import Shell

NONCE = "0123456789abcdef"


def lose(shell: Shell, *names: str) -> None:
    """Delete these of .podctl."""
    for name in names:
        path = shell.project.state_dir / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def flip(path: Path, offset: int = 0) -> None:
    """Turn one bit of the file around."""
    data = bytearray(path.read_bytes())
    data[offset] ^= 0x10
    path.write_bytes(data)


def detached(laptop: Laptop, shell: Shell) -> str:
    """A job that runs on a pod while nobody drives; returns the pod."""
    with laptop.held():
        shell("run", "hello", "-y", "--detach")
    (pod,) = laptop.living_pods()
    return str(pod["id"])


def own_pod(laptop: Laptop, shell: Shell, **fields: str) -> str:
    """A pod with the marks and the key of this project."""
    ours = {
        ENV_NONCE: NONCE,
        ENV_OWNER: kept_name(shell.project.state_dir),
        "PUBLIC_KEY": public_key(shell.project),
    }
    return str(laptop.cloud.create(name=f"podctl-hello-{NONCE}", env=ours, **fields)["id"])


def left_run(laptop: Laptop, shell: Shell) -> str:
    """A run whose folder says which pod it is on, and no database; returns the pod."""
    shell("cost")
    pod = own_pod(laptop, shell)
    spec: dict[str, object] = {"stage": {}, "shape": {}}
    order = Order("l0001", pod, "", time.time(), spec)
    RunFolder(shell.project.run_dir("hello-0001")).keep_order(order)
    lose(shell, "state.db")
    return pod


def unlisted(pod: str) -> dict[str, object]:
    """The listing lags: it leaves `pod` out."""
    return {"name": "list_hides", "match": {"pod": pod}}


def assert_came_home(laptop: Laptop, shell: Shell, run: str = "hello-0001") -> None:
    """The job's artifacts are here and locked; nothing bills; the ledger is the bill."""
    lock = json.loads((laptop.folder / "locks" / "hello.json").read_text())
    assert lock["run"] == run
    assert (laptop.folder / "out" / "copy.txt").read_text() == "hi\n"
    assert laptop.living_pods() == []
    assert_books_agree(shell, len(laptop.cloud.state()["pods"]))


def assert_books_agree(shell: Shell, pods: int) -> None:
    """Every pod that ever billed is in the ledger, to the cent."""
    rows = shell.json("cost", "--reconcile")["pods"]
    assert len(rows) == pods
    for row in rows:
        assert abs(row["ledger_usd"] - row["billed_usd"]) < 0.01, row


def test_row_36_a_database_deleted_mid_run_is_rebuilt_and_the_job_comes_home(
    laptop: Laptop, shell: Shell
) -> None:
    """Commands refuse and name `podctl import`, which finds pod and run again, here by the pod's
    own records alone; `podctl sync` brings all home, and the rebuilt ledger is the bill."""
    pod = detached(laptop, shell)
    lose(shell, "state.db", "runs")
    shell("run", "hello", "-y", expect=1)
    assert "podctl import" in shell.err

    found = shell.json("import")
    shell("sync")

    assert found["pods"] == {pod: ["hello-0001"]}
    assert len(laptop.cloud.state()["pods"]) == 1
    assert_came_home(laptop, shell)


@pytest.mark.long
def test_row_36_a_pod_that_was_stopped_meanwhile_is_known_by_what_its_run_left_here(
    laptop: Laptop, shell: Shell
) -> None:
    """Nobody came, so the guard stopped it, and it cannot be asked: order.json says what is on it,
    the bill what it cost; sync starts it again and brings all home."""
    pod = detached(laptop, shell)
    laptop.ended()
    laptop.cloud.api("POST", f"/v2/pods/{pod}/action", {"action": "stop"})
    until(lambda: (laptop.cloud.pod(pod) or {})["status"] == "EXITED", 60)
    lose(shell, "state.db")

    found = shell.json("import")
    shell("sync")

    assert found["pods"] == {pod: ["hello-0001"]}
    assert_came_home(laptop, shell)


@pytest.mark.long
def test_row_36_an_old_copy_is_put_back_only_with_what_was_rented_since(
    laptop: Laptop, shell: Shell
) -> None:
    """A flipped bit is seen by the next command; the copy that the last lock left is used when it
    is asked for, never silently, and the pod that was rented after it is found and brought home."""
    laptop.job()
    shell("run", "hello", "-y")
    assert len(backups(shell.project.state_dir / "backups")) == 1
    shell("unlock", "hello", "--reason", "again")
    laptop.job(seconds=3)
    pod = detached(laptop, shell)
    flip(shell.project.database)
    damaged = shell.project.database.read_bytes()

    shell("sync", expect=1)
    assert "podctl import --from-backup" in shell.err
    shell("import", expect=2)
    found = shell.json("import", "--from-backup")
    shell("sync")

    assert found["pods"] == {pod: ["hello-0002"]}
    assert (shell.project.state_dir / "damaged" / "state-1.db").read_bytes() == damaged
    assert_came_home(laptop, shell, "hello-0002")


def test_row_36_begun_anew_a_project_keeps_its_locks_runs_and_costs(
    laptop: Laptop, shell: Shell
) -> None:
    """A certificate counts as soon as its artifacts verify, not before; an attempt's number is
    never given again; a pod that is gone is booked by the provider's bill. All of it once."""
    laptop.job()
    shell("run", "hello", "-y")
    copy = laptop.folder / "out" / "copy.txt"
    copy.chmod(0o644)
    copy.write_text("HI\n")
    lose(shell, "state.db", "backups")

    found = shell.json("import")

    assert (found["locks"], found["runs"]) == ([], {"hello-0001": "passed"})
    assert "out/copy.txt: its content changed" in found["remarks"][0]
    copy.write_text("hi\n")
    again = shell.json("import")
    assert (again["locks"], again["runs"], again["billed"]) == (["hello"], {}, [])
    shell("run", "hello", "-y", expect=4)
    assert [run.id for run in laptop.journal().runs()] == ["hello-0001"]
    assert_came_home(laptop, shell)


def test_row_36_without_a_provider_to_ask_nothing_is_put_back(laptop: Laptop, shell: Shell) -> None:
    """The damaged database stays where it is, and stays refused."""
    shell("cost")
    flip(shell.project.database)
    damaged = shell.project.database.read_bytes()
    refusal = {"status": 401, "body": {}, "type": "application/problem+json"}
    laptop.cloud.faults({"name": "respond", "match": {"path": "^/v2/"}, "value": refusal})

    shell("import", expect=10)

    assert shell.project.database.read_bytes() == damaged
    shell("cost", expect=1)


def test_row_36_with_all_of_the_state_gone_it_says_what_cannot_be_done(
    laptop: Laptop, shell: Shell
) -> None:
    """The SSH key went too: the pod cannot be read, and can be ended."""
    pod = detached(laptop, shell)
    shutil.rmtree(shell.project.state_dir)

    found = shell.json("import")

    assert (found["others"], found["pods"]) == ([pod], {})
    shell("import")
    assert f"podctl gc {pod} --terminate" in shell.err
    shell("gc", pod, "--terminate", "-y")
    assert laptop.living_pods() == []


def test_row_36_a_pod_that_cannot_be_read_is_left_for_later(laptop: Laptop, shell: Shell) -> None:
    """It is named with exit code 8, and nothing is made of it; one without any run is for gc."""
    shell("cost")
    start = "bash -c 'exec \"${PODCTL_EMULATED_ROOT-}/start.sh\"'"
    pod = own_pod(laptop, shell, args=start)
    laptop.cloud.until_running(pod, 60)
    laptop.cloud.api("POST", f"/v2/pods/{pod}/action", {"action": "stop"})
    until(lambda: laptop.cloud.pod(pod)["status"] == "EXITED", 60)  # type: ignore[index]
    lose(shell, "state.db")

    assert list(shell.json("import", expect=8)["unread"]) == [pod]
    laptop.cloud.api("POST", f"/v2/pods/{pod}/action", {"action": "start"})
    laptop.cloud.until_running(pod, 60)
    assert shell.json("import")["empty"] == [pod]
    assert laptop.journal().runs() == ()


def test_a_pod_that_a_listing_leaves_out_is_found_by_its_id(laptop: Laptop, shell: Shell) -> None:
    """Its run is carried on by the same import, not ended as lost; the job comes home."""
    pod = detached(laptop, shell)
    lose(shell, "state.db")
    laptop.cloud.faults(unlisted(pod))

    found = shell.json("import")
    laptop.cloud.faults()
    shell("sync")

    assert (found["pods"], found["runs"]) == ({pod: ["hello-0001"]}, {})
    assert_came_home(laptop, shell)


def test_a_run_whose_pod_is_neither_listed_nor_answered_for_is_left_out(
    laptop: Laptop, shell: Shell
) -> None:
    """Nothing is known of the pod: the run is told and not ended, and nothing is booked as of a
    pod that is gone; the import after the answer finds both."""
    pod = left_run(laptop, shell)
    silence = {"status": 403, "body": {}, "type": "application/problem+json"}
    by_id = {"method": "^GET$", "path": f"^/v2/pods/{pod}$"}
    laptop.cloud.faults(unlisted(pod), {"name": "respond", "match": by_id, "value": silence})

    found = shell.json("import")

    assert (found["runs"], found["billed"], found["empty"]) == ({}, [], [])
    (remark,) = found["remarks"]
    assert remark.startswith("hello-0001 is left out")
    assert "podctl import" in remark
    assert laptop.journal().runs() == ()
    laptop.cloud.faults()
    assert shell.json("import")["pods"] == {pod: ["hello-0001"]}


def test_a_pod_that_comes_back_is_not_to_be_ended_for_the_run_that_was_lost_with_it(
    laptop: Laptop, shell: Shell
) -> None:
    """404 by its id too, so that the run ended as lost; once it is there again, what the run
    wrote may be only on it: the advice is to keep it."""
    pod = left_run(laptop, shell)
    laptop.cloud.faults(unlisted(pod), {"name": "get_hides", "match": {"pod": pod}})
    assert shell.json("import")["runs"] == {"hello-0001": "pod-lost"}
    laptop.cloud.faults()

    found = shell.json("import")
    shell("import")

    assert (found["returned"], found["empty"]) == ({pod: ["hello-0001"]}, [])
    assert f"podctl gc {pod} --adopt" in shell.err
    assert "--terminate" not in shell.err


READERS = ("status --cached", "cost", "plan hello", "logs", "gc", "unlock hello")
DRIVERS = ("run hello -y", "sync", "stop", "import")


@pytest.fixture
def no_umask() -> Iterator[None]:
    """Whatever is created is open to all unless its maker says otherwise."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("no_umask")
def test_the_state_is_nobody_elses_to_read(laptop: Laptop, shell: Shell) -> None:
    """Without any umask: .podctl is 0700, and what it keeps of keys, journal and runs is 0600."""
    laptop.job()
    shell("run", "hello", "-y")
    state = shell.project.state_dir
    lose(shell, "state.db")
    shell("import", "--from-backup")

    assert state.stat().st_mode & 0o777 == 0o700
    received = state / "runs" / "hello-0001" / "files"
    open_to_others = [
        path.relative_to(state).as_posix()
        for path in state.rglob("*")
        if path.is_file() and received not in path.parents and path.stat().st_mode & 0o077
    ]
    assert open_to_others == []


@pytest.mark.parametrize("words", [*READERS, *DRIVERS])
def test_row_36_a_newer_database_is_refused_by_every_command(shell: Shell, words: str) -> None:
    """What another version wrote is neither read nor written, nor "mended"."""
    shell("cost")
    connection = sqlite3.connect(shell.project.database)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = shell.project.database.read_bytes()

    shell(*words.split(), *(["--reason", "x"] if "unlock" in words else []), expect=1)

    assert "use the podctl that wrote it" in shell.err
    assert shell.project.database.read_bytes() == before
