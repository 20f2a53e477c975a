"""Pods that do not end, start or boot as told: nothing of ours is left, nothing is lost."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.controller.providers.test_refusing_provider import answering
from tests.support.emulated_cloud import until
from tests.support.laptop import Laptop, with_volume

GONE = {"method": "^DELETE$", "path": "^/v2/pods/"}


def test_row_16_a_delete_is_repeated_until_the_pod_is_listed_no_more(laptop: Laptop) -> None:
    """204 and it lives on, then 500, then 204 and it stays listed: swept until a list is clean."""
    laptop.write()
    laptop.cloud.faults(
        {"name": "delete_ignored", "times": 1},
        {"name": "server_error", "times": 1, "skip": 1, "match": GONE},
        {"name": "delete_still_listed", "times": 1, "value": 1.0},
    )
    laptop.podctl("run", "hello", "-y")
    (pod,) = laptop.cloud.state()["pods"]

    assert len(laptop.asked("DELETE", pod["id"])) >= 3
    laptop.assert_done(pods=1)


def test_row_17_a_delete_that_is_answered_404_is_no_proof(laptop: Laptop) -> None:
    """The pod is hidden for a while and 404 under its id: it is ended when it shows up again."""
    laptop.write(settle=5)
    laptop.cloud.faults({"name": "delete_missing", "times": 1, "value": 1.5})
    laptop.podctl("run", "hello", "-y")

    assert len(laptop.asked("DELETE")) >= 2
    laptop.assert_done(pods=1)


def test_row_18_a_conflict_is_looked_at_and_decided_again(laptop: Laptop) -> None:
    """409 for the stop of a failed job's pod: it is asked to stop again, and is parked."""
    laptop.write(rc=3)
    config = laptop.folder / "podctl.toml"
    wish = '[pod]\nkeep_warm_minutes = 0\non_failure = "park"'
    config.write_text(config.read_text().replace("[pod]", wish))
    stop = {"method": "^POST$", "path": "^/v2/pods/.*/action$"}
    conflict = "action 'stop' is not valid for a pod in status STARTING"
    laptop.cloud.faults(answering(409, conflict, match=stop, times=1))
    laptop.podctl("run", "hello", "-y", expect=1)

    assert len(laptop.asked("POST", "/action")) >= 2
    assert [pod["status"] for pod in laptop.living_pods()] == ["EXITED"]
    laptop.assert_books_agree()


# Gets to its end in two attempts.
HALVES = """mkdir -p out
[ -f out/half ] && { echo '{"ok": true}' > out/result.json; exit 0; }
echo half > out/half; sleep 60
"""


def killed(
    laptop: Laptop, *words: str, when: Callable[[], bool] | None = None
) -> tuple[int, str, str]:
    """A run whose pod's host dies and has no GPU left: exit code, the pod, what was said."""
    process = laptop.start("run", "hello", "-y", *words)
    until(when or laptop.works, 60)
    (pod,) = laptop.living_pods()
    laptop.cloud.faults({"name": "no_gpu_on_start", "match": {"pod": pod["id"]}})
    laptop.cloud.kill_pod(pod["id"])
    _, err = process.communicate(timeout=120)
    return process.returncode, pod["id"], err


@pytest.mark.long
def test_row_19_a_pod_whose_host_has_no_gpu_left_is_kept_for_a_person(laptop: Laptop) -> None:
    """Four starts are refused: exit code 7, the disk stays; with a GPU again, sync goes on."""
    laptop.write()
    with laptop.held():
        code, pod, err = killed(laptop)

    assert code == 7, err
    assert "are only on it" in err
    assert len(laptop.asked("POST", f"{pod}/action")) == 4
    assert [one["status"] for one in laptop.living_pods()] == ["EXITED"]
    laptop.cloud.faults()
    laptop.podctl("sync")
    laptop.assert_done(pods=1)


@pytest.mark.long
def test_row_19_with_a_network_volume_the_work_goes_on_elsewhere(laptop: Laptop) -> None:
    """What the job wrote outlives its pod: after four refused starts another pod carries on, also
    when some of it is here already."""
    asked = {"name": "shared", "size": 20, "dataCenter": "EU-RO-1"}
    volume = laptop.cloud.api("POST", "/v2/network-volumes", asked).body["id"]
    laptop.write()
    (laptop.folder / "job.sh").write_text(HALVES)
    with_volume(laptop, volume)
    half = laptop.folder / ".podctl/runs/hello-0001/files/out/half"
    code, pod, err = killed(laptop, when=half.exists)

    assert code == 0, err
    assert "cannot be started" in err
    assert len(laptop.asked("POST", f"{pod}/action")) == 4
    laptop.assert_done(pods=2)
    assert [run.id for run in laptop.journal().runs("hello")] == ["hello-0001"]


@pytest.mark.long
def test_row_20_pods_that_end_in_error_or_never_boot_are_replaced(laptop: Laptop) -> None:
    """ERROR at once, PROVISIONING past the limit: each is ended before the next is rented."""
    laptop.write(boot_minutes=0.1)
    laptop.cloud.faults(
        {"name": "error_status", "times": 1}, {"name": "slow_boot", "times": 1, "value": 600}
    )
    told = laptop.podctl("run", "hello", "-y")

    assert "ERROR" in told.err
    assert "did not boot in time" in told.err
    laptop.assert_done(pods=3)


def test_row_22_other_hardware_than_was_asked_for_is_given_back(laptop: Laptop) -> None:
    """Another type, by the provider's own words: nothing is sent to such a pod."""
    laptop.write()
    laptop.cloud.faults({"name": "wrong_gpu", "times": 1, "value": {"id": "NVIDIA A40"}})
    told = laptop.podctl("run", "hello", "-y")

    assert "it has 1 x NVIDIA A40; 1 x NVIDIA GeForce RTX 4090 was asked for" in told.err
    laptop.assert_done(pods=2)
