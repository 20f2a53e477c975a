"""podctl while half of the network is gone: nothing is taken for dead, nothing is rented again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.emulated_cloud import until
from tests.support.laptop import Laptop
from tests.support.split_network import SplitNetwork, split_network

SECONDS = 60.0  # a machine may be busy


@pytest.fixture
def network(laptop: Laptop) -> Iterator[SplitNetwork]:
    """Between this laptop and its cloud."""
    with split_network(laptop.cloud.base_url, laptop.cloud.api_key) as one:
        laptop.environment["PODCTL_EMULATOR_URL"] = one.base_url
        yield one


def test_row_39_48_ssh_goes_and_the_pod_is_not_taken_for_dead(
    laptop: Laptop, network: SplitNetwork
) -> None:
    """A connection that is killed is made anew; while none can be made the job is unknown, the pod
    is kept, nothing is rented; and when SSH is back the same pod's work is brought home."""
    laptop.write()
    with laptop.held():
        process = laptop.start("run", "hello", "-y")
        until(laptop.works, SECONDS)
        before = network.tried
        network.cut()
        until(lambda: network.tried > before, SECONDS)  # row 39: it came back by itself
        network.refuse(True)
        network.cut()
        before = network.tried
        until(lambda: network.tried >= before + 4, SECONDS)
        told = laptop.json("status", expect=8)
        pods = laptop.cloud.state()["pods"]
        network.refuse(False)
    _, err = process.communicate(timeout=120)

    assert told["failures"]
    assert [(pod["status"]) for pod in pods] == ["RUNNING"]
    assert process.returncode == 0, err
    assert len(laptop.cloud.state()["pods"]) == 1
    assert (laptop.folder / "locks" / "hello.json").exists()


def test_row_48_the_api_goes_and_the_pod_is_kept(laptop: Laptop, network: SplitNetwork) -> None:
    """An API that does not answer says nothing about a pod: the run waits and ends as it should."""
    laptop.write()
    with laptop.held():
        process = laptop.start("run", "hello", "-y")
        until(laptop.works, SECONDS)
        network.api_cut = True
        until(lambda: network.unanswered >= 3, SECONDS)
        network.api_cut = False
    _, err = process.communicate(timeout=120)

    assert process.returncode == 0, err
    assert len(laptop.cloud.state()["pods"]) == 1
    assert laptop.living_pods() == []
