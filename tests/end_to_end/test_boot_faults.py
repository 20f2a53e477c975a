"""Pods that do not come up: which are replaced, which end the run, and what the user is told."""

from __future__ import annotations

import json

from controller.providers.runpod.provider import RunPod
from tests.support.emulated_cloud import EmulatedCloud, until
from tests.support.laptop import Laptop


def test_a_host_with_an_old_driver_is_given_back_at_once(laptop: Laptop) -> None:
    """The line of the system log is shown; the next host does, long before the boot limit. What
    that host said of the image is in the certificate."""
    laptop.write(boot_minutes=20)
    laptop.cloud.faults({"name": "boot_error", "value": "driver", "times": 1})
    told = laptop.podctl("run", "hello", "-y")
    first, second = laptop.creates()

    environment = json.loads((laptop.folder / "locks/hello.json").read_text())["environment"]

    assert "requirement error: unsatisfied condition: cuda>=12.9" in told.err
    assert environment["image_digest"].startswith("sha256:")
    assert second - first < 60
    laptop.assert_done(pods=2)


def test_an_image_that_cannot_be_pulled_ends_the_run_on_the_first_pod(laptop: Laptop) -> None:
    """Exit code 10, with the registry's answer, the image and what to do."""
    laptop.write(boot_minutes=20)
    laptop.cloud.faults({"name": "boot_error", "value": "manifest"})
    told = laptop.podctl("run", "hello", "-y", expect=10)

    assert "runpod/pytorch:1.0.3-cu1290-torch291-ubuntu2204" in told.err
    assert "docker manifest inspect" in told.err
    assert len(laptop.creates()) == 1
    assert laptop.living_pods() == []
    laptop.assert_books_agree()


def test_hosts_that_all_fail_end_with_what_the_last_one_said(laptop: Laptop) -> None:
    """A bounded number of pods, and the cause is no riddle."""
    laptop.write(boot_minutes=20)
    laptop.cloud.faults({"name": "boot_error", "value": "space"})
    told = laptop.podctl("run", "hello", "-y", expect=1)

    assert "none was usable; of the last: its host cannot start the container" in told.err
    assert "no space left on device" in told.err
    assert laptop.living_pods() == []


def test_case_26_an_image_without_sshd_is_told_as_that(laptop: Laptop) -> None:
    """Within `boot_minutes`, on the first pod, with the remedy."""
    laptop.write(boot_minutes=0.3)
    laptop.cloud.faults({"name": "no_sshd"})
    told = laptop.podctl("run", "hello", "-y", expect=1)

    assert "the image starts no sshd" in told.err
    assert "/start.sh starts sshd for PUBLIC_KEY" in told.err
    assert len(laptop.creates()) == 1
    assert laptop.living_pods() == []


def test_a_port_that_leads_nowhere_is_the_hosts_fault(laptop: Laptop) -> None:
    """The pod's log shows that sshd is up: another host is taken."""
    laptop.write(boot_minutes=0.25)
    laptop.cloud.faults({"name": "dead_port", "times": 1})
    told = laptop.podctl("run", "hello", "-y")

    assert "its SSH never answered" in told.err
    laptop.assert_done(pods=2)


def test_an_outage_that_looks_like_a_refusal_is_waited_out(laptop: Laptop) -> None:
    """A create that is answered with a GraphQL type error is repeated, and makes one pod."""
    laptop.write()
    laptop.cloud.faults({"name": "translation_outage", "times": 1})
    laptop.podctl("run", "hello", "-y")

    assert len(laptop.creates()) == 2
    laptop.assert_done(pods=1)


def test_the_system_log_is_read_apart_from_the_containers(cloud: EmulatedCloud) -> None:
    """Each of the two has its own lines."""
    pod = cloud.create(args="bash -c 'echo from inside; sleep 600'")["id"]
    cloud.until_running(pod)
    provider = RunPod(cloud.api_key, cloud.base_url, name="emulator")
    until(lambda: "from inside" in provider.container_log(pod))
    system = provider.system_log(pod)

    assert "from inside" not in system
    assert any(line.startswith("create container") for line in system)
    assert not any(line.startswith("create container") for line in provider.container_log(pod))
