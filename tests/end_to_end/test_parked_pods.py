"""`podctl run` after a stop or a failure: the parked pod is started again, or another is rented."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from controller.engine.lease_context import pinned, terms
from controller.leases.renewal import reusable
from controller.planner.actions import Terminate
from controller.planner.decide import decide
from controller.planner.journal_fold import fold
from controller.planner.lease_state import LeaseState, Step
from controller.planner.observation import Listing
from controller.planner.pod_spec import Shape
from controller.planner.policy import Policy
from controller.planner.provisioning import rent
from controller.planner.teardown import close
from jobs.stage import Stage
from state.journal import Journal
from state.project_lock import acquire
from tests.end_to_end.test_resume import bound, training
from tests.support.laptop import Laptop
from tests.support.observations import observe


def parking(laptop: Laptop) -> None:
    """A job that fails, and whose pod is parked at once."""
    training(laptop, "exit 1")
    path = laptop.folder / "podctl.toml"
    wish = '[pod]\nkeep_warm_minutes = 0\non_failure = "park"'
    path.write_text(path.read_text().replace("[pod]", wish))


def test_a_parked_pod_is_started_again_and_goes_on(laptop: Laptop) -> None:
    """After a failure that parked it, as after a stop: one pod, one lease, from the checkpoint; its
    new run passes, so it is ended as after any success, and the bill agrees."""
    parking(laptop)
    laptop.podctl("run", "hello", "-y", expect=1)
    (stopped,) = laptop.living_pods()
    told = laptop.podctl("run", "hello", "-y")

    assert stopped["status"] == "EXITED"
    assert f"parked pod {stopped['id']} of hello-0001 is restarted" in told.err
    assert "resumes from step 5 of hello-0001" in told.err
    assert [run.lease for run in laptop.journal().runs("hello")] == ["l0001", "l0001"]
    assert len(laptop.creates()) == 1
    laptop.assert_done(pods=1)


def test_a_parked_pod_whose_host_is_full_is_ended_and_another_rented(laptop: Laptop) -> None:
    """RunPod often has no GPU for a stopped pod: that is said, what it held is here, so it goes
    before the next one is rented, and nothing bills twice."""
    parking(laptop)
    laptop.podctl("run", "hello", "-y", expect=1)
    (stopped,) = laptop.living_pods()
    laptop.cloud.faults({"name": "no_gpu_on_start", "match": {"pod": stopped["id"]}})
    told = laptop.podctl("run", "hello", "-y")

    assert "it is stopped and cannot be started" in told.err
    assert "resumes from step 5 of hello-0001" in told.err
    assert len(laptop.creates()) == 2
    laptop.assert_done(pods=2)


def test_a_parked_pod_that_does_not_fit_is_told_and_left(laptop: Laptop) -> None:
    """Its guard would stop it before the stage's new max_hours: another is rented, and what bills
    on is named with the command that ends it."""
    parking(laptop)
    laptop.podctl("run", "hello", "-y", expect=1)
    (stopped,) = laptop.living_pods()
    bound(laptop, 0.2)
    told = laptop.podctl("run", "hello", "-y")

    assert f"parked pod {stopped['id']} is not restarted: its guard stops it" in told.err
    assert "podctl stop hello-0001 --terminate" in told.err
    assert [one["id"] for one in laptop.living_pods()] == [stopped["id"]]
    laptop.podctl("stop", "hello-0001", "--terminate")
    laptop.assert_done(pods=2)


# -- without a cloud -------------------------------------------------------------------------

SHAPE = Shape(image="image")
STAGE = Stage.model_validate(
    {
        "name": "hello",
        "title": "Say hello",
        "command": ["true"],
        "outputs": ["out/**"],
        "criteria": [{"kind": "exists", "path": "out/x"}],
        "hours": 1.0,
        "max_hours": 2.0,
    }
)


@pytest.fixture
def journal(tmp_path: Path) -> Any:
    """One lease whose run failed and whose pod is parked."""
    with acquire(tmp_path / ".podctl", "test") as owner:
        found = Journal(owner.connection, owner.epoch)
        lease = found.open_lease({"fresh": True}, [("hello", pinned(STAGE, SHAPE))])
        found.note(lease, Step.GENERATION, {"number": 1, "nonce": "n1"})
        offer = {"offer": "NVIDIA L40S", "count": 1, "usd_per_hour": 0.86}
        meant = found.intent(lease, Step.CREATE, offer)
        found.done(meant, {"pod": "p1", "volume_gb": 20, **offer})
        found.note(lease, Step.STOP, {"disposal": "park", "abandon": None})
        found.note(lease, Step.FINISH, {"outcome": "stopped"}, "hello-0001")
        found.note(lease, Step.PARKED, {"pod": "p1", "ended_at": 1.0})
        yield found


def folded(journal: Journal) -> LeaseState:
    return fold("l0001", [("hello-0001", "hello")], journal.ops("l0001"))


def renew(journal: Journal, **terms: Any) -> LeaseState:
    journal.extend_lease("l0001", Step.RENEW, terms, [("hello", pinned(STAGE, SHAPE))])
    return folded(journal)


def test_a_renewal_lifts_the_users_wish_and_begins_to_count_anew(journal: Journal) -> None:
    """What was wished for and refused before is over; pod, nonce and parking stay."""
    before, now = folded(journal), renew(journal)

    assert before.rests()
    assert not now.rests()
    assert (now.pod, now.parked, now.nonce, now.stop) == ("p1", True, "n1", None)
    assert now.current is not None
    assert now.current.run == "hello-0002"
    assert [run.run for run in now.wanted] == ["hello-0002"]
    assert now.pods_tried == 1


def test_what_a_run_was_begun_with_is_its_own(journal: Journal) -> None:
    """`--fresh` of an earlier run says nothing about a later one of the same lease."""
    renew(journal, fresh=False, cap_usd=9.0)
    (lease,) = journal.open_leases()

    assert terms(journal, lease, "hello-0001")["fresh"] is True
    assert terms(journal, lease, "hello-0002")["fresh"] is False
    assert terms(journal, lease)["cap_usd"] == 9.0


def test_the_past_of_a_lease_does_not_decide_what_becomes_of_its_pod(journal: Journal) -> None:
    """The new run passed: the pod goes as after a success, and so does the lease."""
    renew(journal)
    journal.intent("l0001", Step.START_JOB, {"at": 1.0}, "hello-0002")
    pulled = journal.intent("l0001", Step.PULL, {}, "hello-0002")
    journal.done(pulled, {"rc": 0, "reason": "exited"})
    journal.note("l0001", Step.FINISH, {"outcome": "passed"}, "hello-0002")
    seen = observe(folded(journal), 0.0, listing=Listing(0.0, ()))

    assert "Terminate" in type(close(seen, Policy())).__name__


def test_a_renewed_lease_may_rent_as_often_as_a_new_one(journal: Journal) -> None:
    """Four pods of before are not counted against the present run."""
    past = dataclasses.replace(renew(journal), pod=None, generation=4, past_generations=3)
    seen = observe(past, 0.0, listing=Listing(0.0, ()))

    assert type(rent(seen, Policy())).__name__ == "OpenGeneration"


@pytest.mark.parametrize(
    ("changes", "shape", "why"),
    [
        ({}, {}, ""),
        ({"max_hours": 1.5, "hours": 1.0}, {}, ""),
        ({"max_hours": 3.0}, {}, "max_hours"),
        ({"grace_seconds": 600}, {}, "max_hours"),
        ({"hardware": {"gpus": ["NVIDIA A40"]}}, {}, "hardware"),
        ({"hardware": {"gpu_count": 2}}, {}, "hardware"),
        ({"hardware": {"max_usd_per_hour": 0.5}}, {}, "hardware"),
        ({}, {"image": "another"}, "[pod]"),
        ({}, {"cloud": "COMMUNITY"}, "[pod]"),
        ({}, {"api_base": "http://127.0.0.1:1"}, ""),
    ],
)
def test_a_parked_pod_is_taken_for_what_it_was_rented_as(
    journal: Journal, changes: dict[str, Any], shape: dict[str, Any], why: str
) -> None:
    """Image, GPU list, price policy and the guard's limits are those of its first run, or it is
    left alone."""
    stage = Stage.model_validate(STAGE.model_dump(mode="json") | changes)
    wanted = dataclasses.replace(SHAPE, **shape)
    found = reusable(journal, journal.open_leases(), [stage], wanted, "runpod", now=0.0)

    assert found is not None
    assert (why in found.why_not) if why else (found.why_not == "")


def test_a_disk_that_an_earlier_run_filled_is_given_up_for_an_empty_one(journal: Journal) -> None:
    """Two runs' checkpoints may not fit; the next pod is not taken for full as well."""
    renew(journal)
    meant = journal.intent("l0001", Step.UPLOAD, {}, "hello-0002")
    full = {"why": "the pod's disk is too small", "fatal": True, "disk_full": True}
    journal.fail(meant, full)
    crowded = dataclasses.replace(folded(journal), parked=False, reached=True)
    action = decide(observe(crowded, 0.0, listing=Listing(0.0, ())), Policy())
    journal.note("l0001", Step.GENERATION, {"number": 2, "nonce": "n2"})
    fresh = folded(journal).current

    assert isinstance(action, Terminate)
    assert "earlier run" in action.reason
    assert fresh is not None
    assert fresh.broken is None


def test_a_pod_of_another_stage_is_used_where_it_fits_and_else_not_spoken_of(
    journal: Journal,
) -> None:
    """Hardware, image, volume and price are what counts, not the stage's name."""
    like = STAGE.model_dump(mode="json") | {"name": "other"}
    other = Stage.model_validate(like)
    larger = Stage.model_validate(like | {"hardware": {"disk_gb": 500}})
    found = reusable(journal, journal.open_leases(), [other], SHAPE, "runpod", now=0.0)

    assert found is not None
    assert found.why_not == ""
    assert reusable(journal, journal.open_leases(), [larger], SHAPE, "runpod", now=0.0) is None
