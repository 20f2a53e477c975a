"""`podctl stop` while `podctl run` drives: the wish is handed over, and carried out once."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from controller.leases.stop_requests import Handover, ended, take_up, taken_up
from controller.planner.lease_state import Step
from state.journal import Journal
from state.project_lock import ProjectLock, acquire
from state.stop_requests import StopRequest, StopRequests
from tests.support.emulated_cloud import until
from tests.support.laptop import Laptop


def stops(journal: Journal, lease: str = "l0001") -> list[str]:
    """The disposals that users wished for, as the journal has them."""
    return [op.data["disposal"] for op in journal.ops(lease) if op.step == Step.STOP]


def request(lease: str = "l0001", epoch: int = 2, **changes: object) -> StopRequest:
    found = StopRequest("a" * 16, lease, epoch, "park", None, "podctl stop", 1.0)
    return dataclasses.replace(found, **changes)  # type: ignore[arg-type]


def waiting(laptop: Laptop) -> list[Path]:
    return list((laptop.folder / ".podctl" / "stop-requests").glob("*.json"))


def running(laptop: Laptop) -> subprocess.Popen[str]:
    process = laptop.start("run", "hello", "-y")
    until(laptop.works, 60)
    return process


def test_a_stop_beside_a_run_is_carried_out_by_the_run(laptop: Laptop) -> None:
    """The run ends with its outcome and exit code, the stop says how it ended, also as JSON, and
    the wish is in the journal once."""
    laptop.write()
    with laptop.held():
        run = running(laptop)
        told = laptop.podctl("stop", "hello", "--json")
        _, err = run.communicate(timeout=60)

    assert run.returncode == 1
    assert "error: hello-0001: stopped" in err
    assert "podctl stop in another terminal requested the end of lease" in err
    found = json.loads(told.out)
    (lease,) = found["leases"]
    assert found["schema"] == "podctl/stop/1"
    assert (lease["outcome"], lease["runs"][0]["outcome"]) == ("parked", "stopped")
    assert f"pid {run.pid} on " in lease["carried_out_by"]
    assert stops(laptop.journal()) == ["park"]
    assert [pod["status"] for pod in laptop.living_pods()] == ["EXITED"]
    assert waiting(laptop) == []


@pytest.mark.parametrize("word", ["--terminate", "--abandon=it will not do"])
def test_every_way_of_ending_is_handed_over(laptop: Laptop, word: str) -> None:
    """Nothing of it bills afterwards, and the lease is closed."""
    laptop.write()
    with laptop.held():
        run = running(laptop)
        laptop.podctl("stop", word, "-y")
        run.communicate(timeout=60)

    assert run.returncode == 1
    assert laptop.living_pods() == []
    assert laptop.journal().open_leases() == ()
    assert stops(laptop.journal()) == ["terminate"]
    laptop.assert_books_agree()


def test_a_run_that_dies_with_the_wish_leaves_it_to_the_stop(laptop: Laptop) -> None:
    """It was suspended, so it never looked, and is killed: who asked takes its place."""
    laptop.write()
    with laptop.held():
        run = running(laptop)
        os.killpg(run.pid, signal.SIGSTOP)
        stop = laptop.start("stop", "hello")
        until(lambda: waiting(laptop), 30)
        os.killpg(run.pid, signal.SIGKILL)
        run.communicate()
        _, err = stop.communicate(timeout=60)

    assert stop.returncode == 0, err
    assert "has ended; this process takes over" in err
    assert stops(laptop.journal()) == ["park"]
    assert [pod["status"] for pod in laptop.living_pods()] == ["EXITED"]
    assert waiting(laptop) == []


def test_a_wish_that_nobody_takes_up_is_withdrawn(laptop: Laptop) -> None:
    """The run was suspended for longer than was to be waited: exit code 75 says so, and when it
    goes on it is not stopped."""
    laptop.write()
    with laptop.held():
        run = running(laptop)
        os.killpg(run.pid, signal.SIGSTOP)
        told = laptop.podctl("stop", "hello", "--wait", "0.02", expect=75)
        os.killpg(run.pid, signal.SIGCONT)
    run.communicate(timeout=60)

    assert "did not accept the request to end l0001" in told.err
    assert run.returncode == 0
    assert stops(laptop.journal()) == []
    laptop.assert_done()


# -- without processes -----------------------------------------------------------------------


@dataclass
class Desk:
    """The state of one project, and who owns it."""

    folder: Path
    owner: ProjectLock = field(init=False)

    def __post_init__(self) -> None:
        self.own()
        self.journal.open_lease({}, [("hello", {})])

    def own(self) -> None:
        self.owner = acquire(self.folder, "test")

    @property
    def journal(self) -> Journal:
        return Journal(self.owner.connection, self.owner.epoch)

    @property
    def requests(self) -> StopRequests:
        return StopRequests(self.folder)

    def hear(self) -> None:
        take_up(self.requests, self.journal, "l0001", lambda _: None)


@dataclass
class Turns:
    """A clock whose waits are the turns of the other process."""

    turns: list[Callable[[], object]]
    at: float = 0.0

    def now(self) -> float:
        return self.at

    def wall(self) -> float:
        return self.at

    def wait(self, seconds: float) -> None:
        self.at += seconds
        if self.turns:
            self.turns.pop(0)()


@pytest.fixture
def context(tmp_path: Path) -> Desk:
    return Desk(tmp_path / ".podctl")


def test_what_a_crash_left_behind_stops_no_later_owner(context: Desk) -> None:
    """The request is for the owner of its time; the next one drops it unread."""
    context.requests.put(request(epoch=context.owner.epoch))
    context.owner.close()
    context.own()
    context.hear()

    assert stops(context.journal) == []
    assert context.requests.of("l0001") == ()


def test_a_request_that_is_found_twice_is_written_down_once(context: Desk) -> None:
    """A crash between the journal's row and the end of the file does not stop anything twice."""
    asked = request(epoch=context.owner.epoch)
    for _ in range(2):
        context.requests.put(asked)
        context.hear()

    assert stops(context.journal) == ["park"]
    assert taken_up(context.journal, asked)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"id": 1}', b"[" * 100_000, b"\xff"])
def test_a_request_that_cannot_be_read_is_none(context: Desk, content: bytes) -> None:
    """Whatever lies in the folder ends no look."""
    context.requests.put(request())
    (context.requests.folder / "l0001.x.json").write_bytes(content)

    assert [one.id for one in context.requests.of("l0001")] == ["a" * 16]


def handover(context: Desk, clock: Turns, enter: Callable[[], object] = lambda: None) -> Handover:  # type: ignore[type-arg]
    epoch = lambda: context.owner.epoch  # noqa: E731
    return Handover(context.requests, context.journal, epoch, clock, enter, lambda *_: None, 60.0)


def closed(context: Desk) -> None:
    context.journal.close_lease("l0001", "stopped")


def test_a_new_driver_is_asked_again_and_hears_it_once(context: Desk) -> None:
    """Who was asked first is gone, and a `podctl run` was quicker than the one that waits."""

    def change() -> None:
        context.owner.close()
        context.own()
        executor.journal = context.journal
        context.hear()  # drops what was for the other

    clock = Turns([change, context.hear, context.hear, lambda: closed(context)])
    executor = handover(context, clock)
    found = executor.wait([request()])

    assert found is None
    assert stops(context.journal) == ["park"]
    assert ended(context.journal, request())
    assert context.requests.of("l0001") == ()


def test_who_may_drive_itself_waits_no_longer(context: Desk) -> None:
    """The other process ended without having looked: the caller has the state, and no request is
    left for anybody."""
    session = iter([None, "office"])
    found = handover(context, Turns([]), lambda: next(session)).wait([request()])

    assert found == "office"
    assert context.requests.of("l0001") == ()
    assert stops(context.journal) == []


def test_time_that_is_up_withdraws_what_was_not_heard(context: Desk) -> None:
    """A minute of looks, and then nobody stops for it any more."""
    clock = Turns([])
    found = handover(context, clock).wait([request()])
    context.hear()

    assert found is None
    assert clock.at >= 60.0
    assert stops(context.journal) == []
