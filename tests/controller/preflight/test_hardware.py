"""Words for hardware in podctl.toml: understood, refused or explained before anything is rented."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.laptop import Laptop
from tests.support.shell import Shell

HARDWARE = 'gpus = ["NVIDIA L40S", "NVIDIA GeForce RTX 4090"]'


def asking(laptop: Laptop, hardware: str, pod: str = "") -> None:
    """The project whose stage accepts `hardware`."""
    path = laptop.folder / "podctl.toml"
    text = path.read_text().replace(HARDWARE, hardware).replace("[pod]", f"[pod]\n{pod}")
    path.write_text(text)


@pytest.mark.parametrize(
    ("hardware", "pod", "key", "words"),
    [
        ('gpus = ["NVIDIA L40SS"]', "", "stages.hello.hardware.gpus", "NVIDIA L40S"),
        ('gpus = ["NVIDIA H100 NVL", "No Such GPU 9000"]', "", "hardware.gpus", "9000"),
        ('gpus = [""]', "", "hardware.gpus", "unknown GPU type ''"),
        ('gpus = ["A40"]\ndata_centers = ["EU-XX-9"]', "", "hardware.data_centers", "EU-RO-1"),
        ('gpus = ["A40"]', 'data_centers = ["EU-R0-1"]', "pod.data_centers", "EU-RO-1"),
        ('gpus = ["A40"]\nmin_cuda = "13.9"', "", "hardware.min_cuda", "12.8, 13.0"),
        ('gpus = ["A40"]\nmin_cuda = "12.12"', "", "hardware.min_cuda", "12.12"),
        ('gpus = ["A40"]\nmin_cuda = "new"', "", "hardware.min_cuda", "is no CUDA version"),
        ('cpu = "cpu99z"', "", "hardware.cpu", "cpu5c"),
        ('gpus = ["A40"]\ncloud = "PRIVATE"', "", "hardware.cloud", "COMMUNITY"),
        ('gpus = ["A40"]', 'cloud = "PRIVATE"', "pod.cloud", "COMMUNITY"),
    ],
)
def test_case_32_an_unknown_name_is_an_error_of_plan_and_run_alike(
    laptop: Laptop, shell: Shell, hardware: str, pod: str, key: str, words: str
) -> None:
    """Exit code 2 with the key and what is near; nothing is rented."""
    asking(laptop, hardware, pod)
    told = []
    for command in (("plan", "hello"), ("run", "hello", "-y")):
        shell(*command, expect=2)
        told.append(shell.err)

    for text in told:
        assert key in text
        assert words in text
    assert laptop.creates() == []


def test_an_unknown_name_on_the_command_line_is_an_error_too(laptop: Laptop, shell: Shell) -> None:
    """Of plan, run and up; the message does not send the user to podctl.toml."""
    for command in (("plan", "hello"), ("run", "hello", "-y"), ("up", "-y")):
        shell(*command, "--gpu", "A40", "--gpu", "L4OS", expect=2)
        assert "the command line asks for hardware" in shell.err
        assert "did you mean NVIDIA L40S" in shell.err
        assert "edit podctl.toml" not in shell.err
    assert laptop.creates() == []


def test_case_32_known_hardware_that_does_not_fit_names_what_excludes_it(
    laptop: Laptop, shell: Shell
) -> None:
    """Exit code 9 of both, with the key, the sum and the limit."""
    asking(laptop, 'gpus = ["A40"]\ngpu_count = 8\nmax_usd_per_hour = 1.0')
    planned = shell("plan", "hello", expect=9)
    shell("run", "hello", "-y", expect=9)

    for text in (planned, shell.err):
        assert "hardware.max_usd_per_hour: 8 x A40 costs $3.52/h, over $1.00/h" in text


def test_case_32_short_names_are_taken_and_what_they_mean_is_told(
    laptop: Laptop, shell: Shell
) -> None:
    """`H100` is every H100; a data center may be written in small letters."""
    asking(laptop, 'gpus = ["H100", "4090"]\nmax_price_ratio = 10\ndata_centers = ["us-ks-2"]')
    plan: dict[str, Any] = shell.json("plan", "hello")["pods"][0]
    offers = {one["id"]: one["availability"] for one in plan["quote"]["offers"]}

    assert plan["understood"] == [
        "H100 is taken as NVIDIA H100 PCIe or NVIDIA H100 NVL or NVIDIA H100 80GB HBM3",
        "4090 is taken as NVIDIA GeForce RTX 4090",
    ]
    assert offers["NVIDIA H100 NVL"] == "MEDIUM"
    assert offers["NVIDIA H100 80GB HBM3"] == "NONE"  # none in US-KS-2
    assert len(offers) == 4


def test_the_driver_follows_from_the_images_tag(laptop: Laptop, shell: Shell) -> None:
    """Shown in the plan, sent with query and create; `min_cuda` overrides, and "any" ends it."""
    image = 'image = "somebody/train:cuda12.4.1-devel"'
    asking(laptop, HARDWARE, image)
    shown = shell("plan", "hello")
    tagged = shell.json("plan", "hello")["pods"][0]["min_cuda"]
    laptop.write()
    asking(laptop, f'{HARDWARE}\nmin_cuda = "any"', image)
    without = shell.json("plan", "hello")["pods"][0]["min_cuda"]
    laptop.write()
    asking(laptop, f'{HARDWARE}\nmin_cuda = "12.8"', image)
    given = shell.json("plan", "hello")["pods"][0]["min_cuda"]

    assert "driver supports CUDA 12.4 or newer" in shown
    assert (tagged, without, given) == ("12.4", None, "12.8")


def test_an_image_newer_than_every_driver_is_told_before_renting(
    laptop: Laptop, shell: Shell
) -> None:
    """The tag is named: it, and no key of the user's, is what excludes every host."""
    asking(laptop, HARDWARE, 'image = "somebody/train:cu140"')
    shell("run", "hello", "-y", expect=9)

    assert "min_cuda 14.0 (by the tag of somebody/train:cu140)" in shell.err
    assert "13.0 at most" in shell.err


def test_a_catalog_that_cannot_be_read_is_no_reason_to_refuse(laptop: Laptop, shell: Shell) -> None:
    """That the names are not checked is said; the plan is made all the same."""
    asking(laptop, 'gpus = ["L40S"]\ndata_centers = ["US-KS-2"]')
    match = {"path": "^/v2/catalog/datacenters"}
    value = {"status": 400, "body": {"detail": "no"}, "type": "application/problem+json"}
    laptop.cloud.faults({"name": "respond", "match": match, "value": value})
    planned = shell("plan", "hello")

    assert "names of hardware are not checked: could not read the list of data cent" in planned
