"""What a run wrote and nobody could bring home: `podctl sync` starts its parked pod to fetch it."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

from controller.leases.fetch import Unfetched
from controller.planner import actions
from controller.planner.decide import decide
from controller.planner.journal_fold import resume
from controller.planner.lease_state import LeaseState, Step
from controller.planner.observation import Failure
from controller.providers.base import PodStatus
from state.journal_rows import Lease
from tests.controller.planner.test_decide import POLICY, agent, lease_state, pod, running, seen
from tests.support.laptop import Laptop

RUN = "stage1c-0001"


def fetching(**changes: Any) -> LeaseState:
    """A parked lease with a run that was never pulled, and which is wanted now."""
    over = lease_state(running(outcome="unpulled", why="x"), stop="park", parked=True, pod_starts=4)
    note = SimpleNamespace(step=Step.FETCH, phase="note", run=None, data={"runs": [RUN]})
    return dataclasses.replace(resume(over, [note]), **changes)


def test_a_pod_is_started_for_what_only_it_has_and_parked_again(laptop: Laptop) -> None:
    """Its disk spoiled a file, so the stop left it there; once it is whole again, sync says what
    it costs, fetches, judges, locks, and parks the pod as before."""
    laptop.write()
    laptop.detach()
    folder = laptop.ended().parent / "work" / "out"
    good = (folder / "copy.txt").read_bytes()
    (folder / "copy.txt").write_bytes(b"xx\n")
    stopped = laptop.podctl("stop", "hello", "-y")
    (left,) = laptop.living_pods()
    told = laptop.podctl("sync")
    (folder / "copy.txt").write_bytes(good)
    unknown = laptop.podctl("sync", "hallo", expect=3)  # not "nothing is unfinished"
    fetched = laptop.podctl("sync", "hello-0001", "-y")

    assert left["status"] == "EXITED"
    assert "podctl sync hello-0001 -y downloads the outputs that are only on it" in stopped.err
    assert "no stage named 'hallo'" in unknown.err
    assert "podctl sync hello-0001 -y downloads the outputs of hello-0001" in told.err
    assert (
        f"starting pod {left['id']} only to download the outputs of hello-0001, at $0."
        in fetched.err
    )
    assert (laptop.folder / "locks" / "hello.json").exists()
    assert [(one["id"], one["status"]) for one in laptop.living_pods()] == [(left["id"], "EXITED")]
    laptop.podctl("stop", "hello-0001", "--terminate")
    laptop.assert_done(pods=1)


def test_a_pod_that_is_wanted_for_its_files_is_started() -> None:
    """However often it was started before: that is asked for anew."""
    exited = pod(status=PodStatus.EXITED)

    assert isinstance(decide(seen(fetching(), exited), POLICY), actions.StartPod)


def test_a_pod_that_cannot_be_started_waits_for_the_user_again() -> None:
    """The run is over as before, and its lease rests: no command is in a circle with it."""
    exited = pod(status=PodStatus.EXITED)
    look = seen(fetching(), exited, start_failures={"p1": POLICY.pod_starts})
    action = decide(look, POLICY)

    assert isinstance(action, actions.Finish)
    assert (action.run, action.outcome) == (RUN, "unpulled")


def test_a_job_that_works_again_when_its_pod_starts_is_told_to_end() -> None:
    """Only what it wrote is wanted: it saves, and nothing goes on."""
    lease = fetching(parked=False, stop=None)
    told = decide(seen(lease, pod(), contact=agent("running")), POLICY)
    lost = decide(seen(lease, pod(), contact=agent("lost")), POLICY)

    assert isinstance(told, actions.StopJob)
    assert isinstance(lost, actions.Pull)


def test_what_still_does_not_come_is_left_there() -> None:
    """After so many tries the pod is parked again."""
    lease = fetching(parked=False, stop=None)
    action = decide(
        seen(lease, pod(), contact=agent("lost"), pull_failures=POLICY.pull_tries), POLICY
    )

    assert isinstance(action, actions.Finish)
    assert action.outcome == "unpulled"


def test_no_other_pod_is_rented_to_fetch() -> None:
    """Its pod is gone: on a network volume the files are there for the next run."""
    for shared in (False, True):
        lease = fetching(pod=None, parked=False, shared_disk=shared, had_pod=True)

        assert isinstance(decide(seen(lease), POLICY), actions.Finish)


def test_the_question_says_what_it_costs_and_what_comes_after() -> None:
    """The price an hour, and whether the pod is parked again or ended."""
    over = lease_state(running(outcome="unpulled"), parked=True, quoted_usd_per_hour=0.44)
    lease = Lease("l0001", 0.0, {}, None, None)
    for stop, then in (("park", "parked again?"), ("terminate", "terminated?")):
        asked = Unfetched(lease, dataclasses.replace(over, stop=stop)).question()

        assert "at $0.44/h until they are downloaded" in asked
        assert asked.endswith(then)


def test_a_failure_of_the_upload_is_none_of_it() -> None:
    """Nothing is sent to a pod that is only fetched from."""
    lease = fetching(parked=False, stop=None)
    look = seen(lease, pod(), contact=agent("absent"), failures={"upload": Failure(9, "x")})

    assert not isinstance(decide(look, POLICY), actions.Upload)


def test_a_pod_stays_stopped_when_another_run_has_locked_its_stage(laptop: Laptop) -> None:
    """Its start could continue the older job, and its files would replace those of the lock."""
    laptop.write()
    laptop.detach()
    (laptop.ended().parent / "work" / "out" / "copy.txt").write_bytes(b"xx\n")
    laptop.podctl("stop", "hello", "-y")
    (left,) = laptop.living_pods()
    laptop.job()
    laptop.podctl("run", "hello", "-y")
    locked = (laptop.folder / "locks" / "hello.json").read_bytes()
    synced = laptop.podctl("sync", "hello-0001", "-y")

    assert "hello is locked by hello-0002" in synced.err
    assert f"the outputs of hello-0001 stay on pod {left['id']}" in synced.err
    assert (laptop.folder / "locks" / "hello.json").read_bytes() == locked
    assert [(one["id"], one["status"]) for one in laptop.living_pods()] == [(left["id"], "EXITED")]
    laptop.podctl("stop", "hello-0001", "--terminate", "--abandon", "superseded", "-y")
    laptop.assert_done(pods=2)
