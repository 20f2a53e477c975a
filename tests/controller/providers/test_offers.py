"""Which offers a need accepts, in which order, and what is said about the others."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from controller.diagnostics.drill import cheapest
from controller.providers.base import Hardware, Offer
from controller.providers.offers import by_price, ranked, rejections, why_not
from controller.providers.runpod.account_models import BalanceReply
from controller.providers.runpod.catalog import cpu_offer, gpu_offer
from controller.providers.runpod.models import bill, pod


def gpu(name: str, memory: int, price: float, stock: str = "HIGH", count: int = 1) -> Offer:
    return Offer("gpu", f"NVIDIA {name}", name, count, memory, price, stock, "SECURE")


RTX = gpu("RTX 4090", 24, 0.69)
A40 = gpu("A40", 48, 0.44, "LOW")
L40S = gpu("L40S", 48, 0.40, "NONE")
H200 = gpu("H200", 141, 3.59, "UNKNOWN")
MI300 = Offer("gpu", "AMD Instinct MI300X OAM", "MI300X", 1, 192, 0.2, "HIGH", "SECURE")
CPU = Offer("cpu", "cpu5c", "Compute-Optimized", 4, 10, 0.16, "HIGH", "SECURE")
ALL = (H200, L40S, RTX, A40, MI300, CPU)


def test_cheapest_first_and_no_stock_last() -> None:
    """Price decides; what is out of stock comes after all others but is not left out."""
    assert ranked(ALL, Hardware(min_gpu_memory_gb=31)) == (A40, H200, L40S)


def test_too_small_is_explained() -> None:
    """A type with too little memory is rejected in words with both sizes."""
    reason = why_not(RTX, Hardware(min_gpu_memory_gb=31))

    assert reason == "needs about 31 GB; RTX 4090 24 GB: no"


def test_every_rejected_type_has_a_reason() -> None:
    """Each GPU type is either ranked or rejected with one reason; CPU flavors are not mentioned."""
    need = Hardware(min_gpu_memory_gb=31, max_usd_per_hour=2.0)

    reasons = {rejection.offer.name: rejection.reason for rejection in rejections(ALL, need)}

    assert reasons == {
        "MI300X": "needs CUDA unless the stage names the type; MI300X: no",
        "RTX 4090": "needs about 31 GB; RTX 4090 24 GB: no",
        "H200": "at most $2.00/h; H200 $3.59/h: no",
    }


def test_named_types() -> None:
    """Types are named by catalog id or by short name, in any case; AMD only when named."""
    assert ranked(ALL, Hardware(gpus=("nvidia a40", "h200"))) == (A40, H200)
    assert ranked(ALL, Hardware(gpus=("MI300X",))) == (MI300,)


def test_price_is_for_the_whole_pod() -> None:
    """The limit is compared with the price of as many GPUs as are needed."""
    need = Hardware(gpu_count=4, max_usd_per_hour=2.0)

    assert why_not(A40, need) is None  # 4 x 0.44
    assert why_not(RTX, need) == "at most $2.00/h; 4 x RTX 4090 $2.76/h: no"
    assert why_not(gpu("A40", 48, 1.76, count=4), need) is None


def test_other_cloud() -> None:
    """An offer of the other cloud is not accepted."""
    assert "COMMUNITY" in (why_not(A40, Hardware(cloud="COMMUNITY")) or "")


def test_cpu_need() -> None:
    """A CPU need takes its flavor and nothing with a GPU; a GPU need takes no CPU flavor."""
    assert ranked(ALL, Hardware(cpu="cpu5c")) == (CPU,)
    assert ranked(ALL, Hardware(cpu="cpu3g")) == ()
    assert [rejection.reason for rejection in rejections(ALL, Hardware(cpu="cpu3g"))] == [
        "needs the CPU flavor cpu3g; cpu5c: no"
    ]
    assert CPU not in ranked(ALL, Hardware())


offer_lists = st.lists(
    st.builds(
        gpu,
        st.sampled_from(["A", "B", "C"]),
        st.integers(8, 192),
        st.floats(0.01, 50),
        st.sampled_from(["NONE", "LOW", "HIGH", "UNKNOWN"]),
    )
)


@given(offer_lists, st.integers(0, 200), st.floats(0.01, 50))
def test_nothing_is_lost(offers: list[Offer], memory: int, limit: float) -> None:
    """Whatever the catalog, each offer is either accepted or rejected, never both or neither."""
    need = Hardware(min_gpu_memory_gb=memory, max_usd_per_hour=limit)

    accepted = ranked(offers, need)
    refused = [rejection.offer for rejection in rejections(offers, need)]

    assert Counter([*accepted, *refused]) == Counter(offers)
    assert accepted == by_price(accepted)
    assert all(offer.memory_gb >= memory for offer in accepted)


NONSENSE = ("cheap", True, -1, 1e300, float("nan"), float("inf"), 10**400, [1], {})


@pytest.mark.parametrize("price", NONSENSE)
def test_a_price_that_is_none_is_said_and_not_rented_by(price: object) -> None:
    """A GPU and a CPU type whose price is no number are listed with that reason, never accepted,
    not even as the cheapest; null and 0 mean that it is not offered in that cloud."""
    entry = {
        "id": "NVIDIA L40S",
        "name": "L40S",
        "memory": 48,
        "secure": True,
        "price": {"secure": price, "community": None},
        "availability": "HIGH",
    }
    cpu = {
        "id": "cpu5c",
        "vcpu": {"min": 2, "max": 8},
        "ramGbPerVcpu": 2,
        "price": {"securePerVcpu": price},
    }
    offers = (gpu_offer(entry, Hardware()), cpu_offer(cpu, 4))

    for offer, need in zip(offers, (Hardware(), Hardware(cpu="cpu5c")), strict=True):
        assert offer is not None
        assert "its price is not known" in str(why_not(offer, need))
        assert ranked([offer], need) == ()
        assert cheapest([offer]) is None
    assert gpu_offer(entry, Hardware(cloud="COMMUNITY")) is None
    assert gpu_offer(entry | {"price": {"secure": 0}}, Hardware()) is None


@pytest.mark.parametrize("each", [1e-9, 0.0049, 251.0, 1e6])
def test_a_price_that_cannot_be_is_not_believed(each: float) -> None:
    """Far below and far above what such hardware costs: the worst case would be none."""
    for count in (1, 8):
        offer = gpu("L40S", 48, each * count, count=count)
        assert "is not plausible" in str(why_not(offer, Hardware(gpu_count=count)))
    assert why_not(gpu("B300", 288, 8 * 12.5, count=8), Hardware(gpu_count=8)) is None
    assert why_not(gpu("RTX 3070", 8, 0.02), Hardware()) is None


@pytest.mark.parametrize("cost", [*NONSENSE, None, 0, 5000.0])
def test_a_pods_rate_that_is_none_is_not_known(cost: object) -> None:
    """It is booked as it was quoted, and that is said: neither free nor at a million an hour."""
    document = {"id": "p1", "name": "x", "status": "RUNNING", "cost": cost}

    assert pod(document).usd_per_hour == (1.0 if cost is True else 0.0)


@pytest.mark.parametrize("amount", [1e300, -1e300, float("nan"), float("inf")])
def test_sums_that_cannot_be_are_no_answer(amount: float) -> None:
    """A bill and a balance of such an amount are unreadable, which is told, and in no sum."""
    times = {"startTime": "2026-01-01T00:00:00Z", "endTime": "2026-01-01T01:00:00Z"}

    with pytest.raises(ValidationError):
        bill({"podId": "p1", "totalAmount": amount, **times})
    with pytest.raises(ValidationError):
        BalanceReply.model_validate({"data": {"myself": {"clientBalance": amount}}})
