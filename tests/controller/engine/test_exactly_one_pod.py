"""A create that is not answered as it should be: one pod works, none is left, the bill agrees."""

from __future__ import annotations

from typing import Any

import pytest

from controller.providers.base import Hardware, Kind, PodSpec, ProviderError
from controller.providers.runpod.provider import RunPod
from tests.support.emulated_cloud import EmulatedCloud, until
from tests.support.laptop import Laptop

AFTER = {"name": "fail_after_commit", "times": 1}
BEFORE = {"name": "fail_before_commit", "times": 1}
LOST = {"name": "drop_reply", "times": 1}


def most_at_once(cloud: EmulatedCloud) -> int:
    """How many pods' compute ever billed at the same moment, by the cloud's own records."""
    state = cloud.state()
    bills = [one for one in state["intervals"] if one["kind"] in ("gpu", "cpu")]
    starts = [one["start"] for one in bills]
    return max(
        sum(one["start"] <= at < (one["end"] or state["now"]) for one in bills) for at in starts
    )


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param([AFTER], id="row_02_500_after_commit"),
        pytest.param([{"name": "commit_late", "times": 1, "value": 1.5}], id="row_05_late_commit"),
        pytest.param([LOST, {"name": "list_lag", "value": 1.5}], id="row_06_list_lag"),
        pytest.param(
            [{"name": "garble_reply", "times": 1, "value": "huge"}], id="row_14_100_megabytes"
        ),
    ],
)
def test_row_02_05_06_14_an_unclear_create_is_looked_for_and_never_repeated(
    laptop: Laptop, faults: list[dict[str, Any]]
) -> None:
    """500 after it was done, done after the time-out, not listed yet, an answer without end.

    One create is sent, its pod is found by the nonce and works; the window is 10 s here and 300 s
    by default, times of the faults are scaled down with it.
    """
    laptop.write(settle=10)
    laptop.cloud.faults(*faults)
    told = laptop.podctl("run", "hello", "-y")

    assert "found pod" in told.err
    assert len(laptop.creates()) == 1
    laptop.assert_done(pods=1)


def test_row_03_a_create_that_failed_before_it_was_done_is_repeated_after_the_window(
    laptop: Laptop,
) -> None:
    """500 and nothing done looks the same as 500 and done: a whole settle window lies between."""
    laptop.write(settle=2)
    laptop.cloud.faults(BEFORE)
    laptop.podctl("run", "hello", "-y")
    first, second = laptop.creates()

    assert second - first >= 2
    laptop.assert_done(pods=1)


def test_row_07_a_pod_that_shows_up_after_the_window_is_ended_and_booked(laptop: Laptop) -> None:
    """The assumption is broken: two pods bill, the surplus goes, and its cost is in the ledger."""
    laptop.write(seconds=3, settle=1)
    laptop.cloud.faults(LOST, {"name": "list_lag", "value": 4})
    laptop.podctl("run", "hello", "-y")

    assert len(laptop.creates()) == 2
    assert most_at_once(laptop.cloud) == 2
    laptop.assert_done(pods=2)
    booked = {row["pod_id"] for row in laptop.json("cost", "--reconcile")["pods"]}
    assert booked == {pod["id"] for pod in laptop.cloud.state()["pods"]}


def test_row_08_a_running_pod_that_a_list_leaves_out_is_not_replaced(laptop: Laptop) -> None:
    """Neither in the list nor under its id for three looks: it is waited for within the window."""
    laptop.write(settle=60)
    laptop.detach()
    (pod,) = laptop.living_pods()
    hidden = {"match": {"pod": pod["id"]}, "times": 3}
    laptop.cloud.faults({"name": "list_hides", **hidden}, {"name": "get_hides", **hidden})
    told = laptop.podctl("sync")

    assert "not in the listing" in told.err
    assert len(laptop.creates()) == 1
    laptop.assert_done(pods=1)


def test_row_24_only_the_pod_with_our_nonce_is_adopted(laptop: Laptop) -> None:
    """Another pod bears our pod's very name, without its nonce: it is let be, and reported."""
    laptop.write(settle=20)
    laptop.cloud.faults(LOST, {"name": "list_lag", "value": 2})
    process = laptop.start("run", "hello", "-y")
    made = until(lambda: laptop.cloud.state()["pods"], 60)
    stranger = laptop.cloud.create(name=made[0]["name"], env={"PODCTL_OWNER": "elsewhere"})
    _, err = process.communicate(timeout=90)

    assert process.returncode == 0, err
    assert [pod["id"] for pod in laptop.living_pods()] == [stranger["id"]]
    assert f"found pod {made[0]['id']}" in err
    listed = laptop.json("gc")["pods"]
    assert [(one["pod"], one["whose"]) for one in listed] == [(stranger["id"], "other-podctl")]
    assert "1 not owned by a live run: podctl gc" in laptop.podctl("gpus").err


@pytest.mark.parametrize("how", ["cut", "html", "gzip", "huge"])
def test_row_14_a_garbled_answer_to_a_create_is_no_answer(cloud: EmulatedCloud, how: str) -> None:
    """Half a document, a page, a bomb, 100 MB: it may have happened, and here it did, once."""
    runpod = RunPod(cloud.api_key, cloud.base_url, name="emulator", call_seconds=10)
    (offer,) = runpod.offers(Hardware(gpus=("NVIDIA A40",)))
    spec = PodSpec("podctl-x-0123456789abcdef", "runpod/base", offer, "sleep 600", {}, 5, 10)
    cloud.faults({"name": "garble_reply", "times": 1, "value": how})

    with pytest.raises(ProviderError) as caught:
        runpod.create(spec)

    assert (caught.value.kind, caught.value.sent) == (Kind.TRANSIENT, True)
    assert [pod.name for pod in runpod.list()] == [spec.name]
