"""The pod of a failed run waits for the next one, and ends if none comes."""

from __future__ import annotations

import time

from tests.support.emulated_cloud import until
from tests.support.laptop import Laptop


def warm_for(laptop: Laptop, minutes: float) -> None:
    path = laptop.folder / "podctl.toml"
    path.write_text(path.read_text().replace("[pod]", f"[pod]\nkeep_warm_minutes = {minutes}"))


def test_a_script_that_is_mended_twice_uses_one_pod(laptop: Laptop) -> None:
    """Two failures and a success of one's own script: one pod, one lease, under a minute, nothing
    parked, what bills is told after each failure, and the cost of all three at the end."""
    laptop.write(rc=3)
    laptop.job(rc=3)
    began = time.monotonic()
    first = laptop.podctl("run", "hello", "-y", expect=1)
    laptop.job(ok="false")
    second = laptop.podctl("run", "hello", "-y", expect=5)
    laptop.job()
    third = laptop.podctl("run", "hello", "-y")
    seconds = time.monotonic() - began

    (told,) = [line for line in first.err.splitlines() if "stays warm until" in line]
    assert "/h: podctl run hello starts on it at once; podctl stop hello-0001 ends it now" in told
    assert told == first.err.splitlines()[-1]
    assert "still billing" not in first.err
    assert "runs already and is used for it: nothing is rented" in second.err
    assert "stays warm until" in second.err.splitlines()[-1]
    assert "hello-0001, hello-0002, hello-0003 cost $" in third.err
    assert "in all, on one pod" in third.err
    assert [run.lease for run in laptop.journal().runs("hello")] == ["l0001"] * 3
    assert len(laptop.creates()) == 1
    assert seconds < 60
    laptop.assert_done(pods=1)


def test_the_guard_ends_a_warm_pod_that_nobody_uses(laptop: Laptop) -> None:
    """podctl never comes back: the pod is terminated from inside, and the next command books the
    end that the bill shows."""
    laptop.write(rc=3)
    warm_for(laptop, 0.05)
    laptop.podctl("run", "hello", "-y", expect=1)
    until(lambda: not laptop.living_pods(), 60)
    laptop.podctl("sync")

    assert laptop.journal().open_leases() == ()
    laptop.assert_books_agree()


def test_keep_holds_after_a_failure_and_after_a_success(laptop: Laptop) -> None:
    """The pod runs on, the price and the end of it are told, the next run uses it, and `gc` and
    `status` say what it waits for; a stop that is meant for another run is refused."""
    laptop.write(rc=3)
    failed = laptop.podctl("run", "hello", "-y", "--keep", expect=1)
    laptop.job()
    passed = laptop.podctl("run", "hello", "-y", "--keep")
    laptop.podctl("stop", "hello-0007", expect=3)
    listed = laptop.json("gc")["pods"]
    laptop.podctl("stop", "hello")

    for told in (failed.err, passed.err):
        assert "is kept: $" in told.splitlines()[-1]
        assert "its guard stops it 30 min after podctl's last visit" in told
    assert "runs already and is used for it" in passed.err
    assert [pod["whose"] for pod in listed] == ["live"]
    laptop.assert_done(pods=1)


def test_the_next_command_ends_a_warm_pod_whose_time_is_over(laptop: Laptop) -> None:
    """Whatever it is asked for; a stop ends it before."""
    laptop.write(rc=3)
    laptop.podctl("run", "hello", "-y", expect=1)
    assert len(laptop.living_pods()) == 1
    laptop.podctl("stop", "hello-0001")

    assert laptop.living_pods() == []
    assert laptop.journal().open_leases() == ()
    laptop.assert_books_agree()


def test_a_warm_pod_that_was_deleted_elsewhere_does_not_hold_up_the_next_run(
    laptop: Laptop,
) -> None:
    """The run says that it is not listed and rents another pod at once, though the settle window
    has not passed; `gc` says the same, and `sync` books its end by the bill."""
    laptop.write(rc=3, settle=8)
    laptop.podctl("run", "hello", "-y", expect=1)
    (pod,) = laptop.living_pods()
    laptop.cloud.api("DELETE", f"/v2/pods/{pod['id']}")
    shown = laptop.podctl("gc")
    laptop.job()
    passed = laptop.podctl("run", "hello", "-y")
    open_after_it = [lease.id for lease in laptop.journal().open_leases()]
    laptop.podctl("sync")

    unlisted = f"pod {pod['id']} of hello-0001 is not in the provider's listing any more"
    assert unlisted in shown.err
    assert unlisted in passed.err
    assert open_after_it == ["l0001"]
    assert len(laptop.creates()) == 2
    assert laptop.journal().open_leases() == ()
    laptop.assert_books_agree()
