"""Pods that go on running after their stage, because the user said so: the books follow them."""

from __future__ import annotations

from tests.support.laptop import Laptop


def test_a_kept_pod_that_was_stopped_meanwhile_is_noticed_by_sync(laptop: Laptop) -> None:
    """Its guard ends it half an hour later: from then on only its disk bills, here too."""
    laptop.write()
    laptop.podctl("run", "hello", "-y", "--keep")
    (pod,) = laptop.living_pods()
    kept = laptop.podctl("sync")
    laptop.cloud.api("POST", f"/v2/pods/{pod['id']}/action", {"action": "stop"})
    stopped = laptop.podctl("sync")
    (left,) = laptop.living_pods()

    assert pod["status"] == "RUNNING"
    assert "is kept: $" in kept.err
    assert "/h; podctl stop" in kept.err
    assert left["status"] == "EXITED"
    assert "is parked: $" in stopped.err
    laptop.assert_books_agree()


def test_a_kept_pod_that_was_ended_in_the_console_bills_no_longer(laptop: Laptop) -> None:
    """Its lease is closed, nothing is said to be kept, and the ledger ends where the bill does."""
    laptop.write()
    laptop.podctl("run", "hello", "-y", "--keep")
    (pod,) = laptop.living_pods()
    laptop.cloud.api("DELETE", f"/v2/pods/{pod['id']}")
    told = laptop.podctl("sync")

    assert "is kept" not in told.err
    assert laptop.journal().open_leases() == ()
    laptop.assert_books_agree()


def test_a_parked_pod_that_was_ended_in_the_console_is_parked_no_longer(laptop: Laptop) -> None:
    """The next command notices, whatever it is for, and its disk costs nothing any more."""
    laptop.write(rc=3)
    config = laptop.folder / "podctl.toml"
    wish = '[pod]\nkeep_warm_minutes = 0\non_failure = "park"'
    config.write_text(config.read_text().replace("[pod]", wish))
    laptop.podctl("run", "hello", "-y", expect=1)
    (pod,) = laptop.living_pods()
    parked = laptop.podctl("sync")
    laptop.cloud.api("DELETE", f"/v2/pods/{pod['id']}")
    told = laptop.podctl("sync")

    assert "is parked: $" in parked.err
    assert "is parked" not in told.err
    assert laptop.journal().open_leases() == ()
    laptop.assert_books_agree()


def test_a_kept_pod_is_asked_about_before_the_next_run_and_never_in_its_way(laptop: Laptop) -> None:
    """The stage is locked, so nothing is rented; what became of the pod is in the books first."""
    laptop.write()
    laptop.podctl("run", "hello", "-y", "--keep")
    (pod,) = laptop.living_pods()
    laptop.cloud.api("POST", f"/v2/pods/{pod['id']}/action", {"action": "stop"})
    laptop.podctl("run", "hello", "-y", expect=4)

    assert len(laptop.creates()) == 1
    laptop.assert_books_agree()
