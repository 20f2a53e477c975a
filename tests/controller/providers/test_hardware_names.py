"""What people call hardware, and which condition leaves none of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from controller.preflight.hardware_fit import exclusions
from controller.providers.base import DataCenter, Hardware, HardwareType, Inventory, Offer
from controller.providers.emulator.catalog import CPUS, GPUS
from controller.providers.hardware_names import data_center, matching_ids, suggestions
from controller.providers.offers import ranked

GPU_TYPES = tuple(GPUS.values())
H100S = ("NVIDIA H100 PCIe", "NVIDIA H100 NVL", "NVIDIA H100 80GB HBM3")
A40 = HardwareType("gpu", "NVIDIA A40", "A40", 48, 0.44, 1, 10, ("US-KS-2",), ("12.4", "12.8"))
CPU = HardwareType("cpu", "cpu5c", "Compute-Optimized 5", 2, 0.035, 2, 32)


@pytest.mark.parametrize(
    ("word", "ids"),
    [
        ("L40S", ("NVIDIA L40S",)),
        ("NVIDIA L40S ", ("NVIDIA L40S",)),
        ("\tnvidia   l40s", ("NVIDIA L40S",)),
        ("L40", ("NVIDIA L40",)),
        ("L4", ("NVIDIA L4",)),
        ("4090", ("NVIDIA GeForce RTX 4090",)),
        ("rtx4090", ("NVIDIA GeForce RTX 4090",)),
        ("GeForce RTX-4090", ("NVIDIA GeForce RTX 4090",)),
        ("H100", H100S),
        ("h100 sxm", ("NVIDIA H100 80GB HBM3",)),
        ("H200", ("NVIDIA H200",)),
        ("A100 80GB", ("NVIDIA A100 80GB PCIe", "NVIDIA A100-SXM4-80GB")),
        ("6000 Ada", ("NVIDIA RTX 6000 Ada Generation",)),
        ("AMD MI300X", ("AMD Instinct MI300X OAM",)),
        ("RTX", ()),
        ("80GB", ()),
        ("NVIDIA", ()),
        ("", ()),
        ("L40SS", ()),
        ("No Such GPU 9000", ()),
    ],
)
def test_case_32_short_names_mean_every_type_that_is_called_so(
    word: str, ids: tuple[str, ...]
) -> None:
    """An id or short name means one type, a part of it all that have it; nothing means nothing."""
    assert matching_ids(word, GPU_TYPES) == ids


def test_a_slice_of_a_gpu_is_taken_only_by_its_name() -> None:
    """`H100` must not bring a seventh of one."""
    slice_ = HardwareType("gpu", "NVIDIA H100 MIG 1g.24gb", "H100 MIG 24GB", 24, 0.6)

    assert matching_ids("H100", (*GPU_TYPES, slice_)) == H100S
    assert matching_ids("H100 MIG", (*GPU_TYPES, slice_)) == (slice_.id,)


def test_near_names_come_the_likeliest_first() -> None:
    """A slip of the pen is recognised, in GPU types, flavors and data centers."""
    centers = (DataCenter("EU-RO-1", "EU Romania 1"), DataCenter("US-KS-2", "US Kansas 2"))

    assert suggestions("L40SS", GPU_TYPES)[0] == "NVIDIA L40S"
    assert suggestions("cpu5c-4-8", tuple(CPUS.values()))[0] == "cpu5c"
    assert suggestions("EU-R0-1", centers)[0] == "EU-RO-1"
    assert data_center(" eu-ro-1 ") == data_center("EU_RO_1") == "EU-RO-1"


def test_offers_are_accepted_by_the_same_words() -> None:
    """An exact name leaves its longer neighbours out, also among offers."""
    offers = tuple(
        Offer(
            "gpu",
            gpu_type.id,
            gpu_type.name,
            1,
            gpu_type.memory_gb,
            gpu_type.secure,
            "HIGH",
            "SECURE",
        )
        for gpu_type in GPU_TYPES
    )

    assert {offer.id for offer in ranked(offers, Hardware(gpus=("H100",)))} == {*H100S}
    assert [offer.id for offer in ranked(offers, Hardware(gpus=("L40", "4090")))] == [
        "NVIDIA GeForce RTX 4090",
        "NVIDIA L40",
    ]


@pytest.mark.parametrize(
    ("need", "key", "words"),
    [
        ({"gpu_count": 8, "max_usd_per_hour": 1.0}, "max_usd_per_hour", "8 x A40 costs $3.52/h"),
        ({"gpu_count": 11}, "gpu_count", "1 to 10, not 11"),
        ({"min_gpu_memory_gb": 80}, "min_gpu_memory_gb", "48 GB of about 80 GB"),
        ({"min_cuda": "13.0"}, "min_cuda", "CUDA 12.8 at most"),
        ({"cpu": "cpu5c", "vcpu_count": 64}, "vcpu_count", "2 to 32, not 64"),
        ({"cpu": "cpu5c", "vcpu_count": 3}, "vcpu_count", "a power of two, not 3"),
        (
            {"cpu": "cpu5c", "max_usd_per_hour": 0.1},
            "max_usd_per_hour",
            "Compute-Optimized 5 with 4 vCPUs",
        ),
    ],
)
def test_case_32_the_condition_that_excludes_is_named(
    need: dict[str, Any], key: str, words: str
) -> None:
    """Known hardware that does not fit: the key, the type and both numbers."""
    inventory = Inventory((CPU if "cpu" in need else A40,), ())
    (exclusion,) = exclusions(inventory, Hardware(**need))

    assert exclusion.key == key
    assert words in exclusion.text


def test_other_cloud_and_fitting_types() -> None:
    """A type without a price in the wanted cloud is excluded by it; one that fits ends the list."""
    elsewhere = replace(A40, usd_per_hour=None)
    (exclusion,) = exclusions(Inventory((elsewhere,), ()), Hardware(cloud="COMMUNITY"))

    assert exclusion.key == "cloud"
    assert exclusions(Inventory((elsewhere, A40), ()), Hardware(min_cuda="12.8")) == ()
    assert exclusions(Inventory((A40,), ()), Hardware(gpu_count=2, max_usd_per_hour=1.0)) == ()
