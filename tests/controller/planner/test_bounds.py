"""A pod that says "running" for ever, and a guard that lies: podctl's own clock ends it."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import pytest

from controller.planner import actions
from controller.planner.decide import decide
from controller.planner.observation import Failure
from controller.planner.teardown import close
from remote.contract import Status, dump
from tests.controller.planner.test_decide import (
    POLICY,
    agent,
    ended,
    lease_state,
    pod,
    running,
    seen,
)
from tests.support.laptop import Laptop
from tests.support.observations import changed

HOUR = 3600.0
NOW = 100 * HOUR  # Unix seconds
RUN = "stage1c-0001"


def look(run: Any, *, contact: Any = None, lease: dict[str, Any] | None = None, **more: Any) -> Any:
    """A look at a pod that answers `running`, at NOW, of a stage with two hours at most."""
    facts: dict[str, Any] = {"wall": NOW, "max_seconds": 2 * HOUR} | more
    shown = contact if contact is not None else agent("running")
    return seen(lease_state(run, **(lease or {})), pod(), contact=shown, **facts)


def told(at: float, **more: Any) -> Any:
    return running(started_at=NOW - 50 * HOUR, stopping="over", stopping_at=at, **more)


class TestMaxHours:
    """The budget in hours, counted here."""

    def test_a_job_beyond_its_max_hours_is_told_to_end_once(self) -> None:
        """The agent has its own time for that first."""
        young = running(started_at=NOW - 2.2 * HOUR)
        old = running(started_at=NOW - 3 * HOUR)
        action = decide(look(old), POLICY)

        assert isinstance(decide(look(young), POLICY), actions.Wait)
        assert isinstance(action, actions.StopJob)
        assert "max_hours" in action.reason
        assert action.at == NOW
        assert isinstance(decide(look(told(NOW - 60)), POLICY), actions.Wait)

    def test_the_hours_count_from_the_pods_present_life(self) -> None:
        """A job that went on after a night in which its pod was parked has its hours."""
        old = running(started_at=NOW - 30 * HOUR)
        fresh = dataclasses.replace(look(old), lease=lease_state(old, life=("p1", NOW - HOUR)))

        assert isinstance(decide(fresh, POLICY), actions.Wait)

    def test_a_word_of_an_earlier_life_is_said_again(self) -> None:
        """The pod was started since: the job is told anew, with a grace of its own."""
        lease = lease_state(told(NOW - 20 * HOUR), life=("p1", NOW - HOUR))
        action = decide(dataclasses.replace(look(running()), lease=lease), POLICY)

        assert action == actions.StopJob(RUN, "over", NOW)


class TestBeyondEveryGrace:
    """It was told, it had its time, and it says that it runs."""

    def test_what_is_ready_is_pulled_then_the_run_ends(self) -> None:
        """Whatever the pod says; a manifest that is new at each look does not put it off."""
        beyond = told(NOW - POLICY.stop_grace - 60)
        ready = look(beyond, contact=agent("running", ready_sha256="a"))
        again = look(
            told(NOW - POLICY.stop_grace - POLICY.last_pull - 60),
            contact=agent("running", ready_sha256="b"),
        )

        assert decide(ready, POLICY) == actions.PullReady(RUN)
        for one in (changed(ready, ready_pulled="a"), again):
            action = decide(one, POLICY)
            assert isinstance(action, actions.Finish)
            assert action.outcome == "overdue"

    def test_its_pod_is_stopped_and_without_a_volume_terminated(self) -> None:
        """The disk is kept where there is one; money has its bounds where there is none."""
        over = running(outcome="overdue", why="x")
        kept = close(seen(lease_state(over), pod()), POLICY)
        bare = close(seen(lease_state(over, keeps_disk=False), pod()), POLICY)

        assert isinstance(kept, actions.StopPod)
        assert isinstance(bare, actions.Terminate)

    @pytest.mark.parametrize("contact", [None, agent("ended", exit=ended())])
    def test_a_job_that_ended_is_pulled_as_ever(self, contact: Any) -> None:
        """The bound is for who denies the end, and without a word nothing is known of the job."""
        found = look(told(NOW - 20 * HOUR), contact=contact)
        action = decide(found if contact else changed(found, contact=None), POLICY)

        assert not isinstance(action, actions.Finish)

    def test_a_pod_that_does_not_take_the_word_is_stopped(self) -> None:
        """Its agent refuses to stop the job, again and again."""
        late = look(running(started_at=NOW - 3 * HOUR), failures={"stop": Failure(6, "no")})
        action = decide(late, POLICY)

        assert isinstance(action, actions.Finish)
        assert "refuses the stop (no)" in action.why

    def test_a_silent_pod_is_stopped_when_its_job_is_to_end(self) -> None:
        """It cannot be told; its volume is kept. Before, it was left to bill on."""
        silent = look(running(started_at=NOW - HOUR), lease={"stop": "park"})
        mute = changed(silent, contact=None, silent_since=1000.0 - POLICY.lost - 1)
        bare = dataclasses.replace(
            mute, lease=lease_state(running(), stop="park", keeps_disk=False)
        )
        action = decide(mute, POLICY)

        assert isinstance(action, actions.Finish)
        assert action.outcome == "overdue"
        assert isinstance(decide(bare, POLICY), actions.NeedsOperator)

    def test_no_other_job_begins_on_such_a_pod(self) -> None:
        """Its GPU may still be in use."""
        one = dataclasses.replace(running(), outcome="overdue")
        two = dataclasses.replace(running(), run="stage1d-0001", started=False)
        lease = dataclasses.replace(lease_state(one), runs=(one, two))
        action = decide(seen(lease, pod(), contact=agent("absent")), POLICY)

        assert isinstance(action, actions.Finish)
        assert action.outcome == "not-begun"


class TestAbandoned:
    """The user's word, and a pod that answers as if nothing were said."""

    def test_what_is_abandoned_has_a_short_grace(self) -> None:
        """Then the pod goes, whatever it says."""
        wish = {"stop": "terminate", "abandon": "enough"}
        early = look(told(NOW - 10), lease=wish, abandoned_since=990.0)
        late = changed(early, abandoned_since=1000.0 - POLICY.abandon_grace - 1)

        assert isinstance(decide(early, POLICY), actions.Wait)
        assert decide(late, POLICY) == actions.Finish(RUN, "abandoned", "enough")

    def test_a_job_that_is_denied_is_not_started_for_ever(self) -> None:
        """Its agent takes every start, and says that there is no such job."""
        denied = running(starts=POLICY.restarts + 1)
        found = seen(lease_state(denied), pod(), contact=agent("absent"))

        assert decide(found, POLICY) == actions.Pull(RUN)


LIE = '''"""Says what it said once, whatever is asked."""
import pathlib
import sys
from . import honest

if sys.argv[1] in ("status", "stop"):
    sys.stdout.write(pathlib.Path(__file__).with_name("said").read_text())
else:
    honest.main()
'''


def lie(laptop: Laptop) -> None:
    """From now on the pod's agent says that its job runs, and takes no other order."""
    (agent_py,) = laptop.cloud.state_dir.rglob("remote/agent/__main__.py")
    status = Status(run="hello-0001", state="running", boot_id="b", attempt=1)
    agent_py.chmod(0o600)
    agent_py.parent.chmod(0o700)
    agent_py.rename(agent_py.with_name("honest.py"))
    agent_py.with_name("said").write_bytes(dump(status))
    agent_py.write_text(LIE)


def test_row_81_a_pod_that_says_running_for_ever_is_ended_by_the_users_word(laptop: Laptop) -> None:
    """It ignores the stop, and its guard stops nothing: after a grace it is terminated."""
    laptop.write()
    laptop.detach()
    laptop.ended()
    lie(laptop)
    began = time.monotonic()
    told = laptop.podctl("stop", "hello", "--terminate", "--abandon", "it lies", "-y")

    assert laptop.living_pods() == []
    assert laptop.journal().runs("hello")[0].outcome == "abandoned"
    assert "stopping the job" in told.err
    assert time.monotonic() - began < 80
    laptop.assert_books_agree()


@pytest.mark.long
def test_row_81_its_max_hours_end_it_by_podctls_clock(laptop: Laptop) -> None:
    """Told to end, then stopped through the provider with its volume kept; exit code 7 says so."""
    laptop.write()
    config = laptop.folder / "podctl.toml"
    text = config.read_text().replace("hours = 0.01\n", "hours = 0.001\n")
    config.write_text(text.replace("max_hours = 0.1", "max_hours = 0.002"))
    laptop.detach()
    lie(laptop)
    process = laptop.start("sync")
    _, err = process.communicate(timeout=400)

    assert process.returncode == 7, err
    assert "max_hours" in err
    assert [one["status"] for one in laptop.living_pods()] == ["EXITED"]
    laptop.assert_books_agree()
