"""Which offers a need accepts, in which order, and what is said about the others."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from controller.providers import Hardware, Offer
from controller.providers.offers import by_price, ranked, rejections, why_not


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

    found = {one.offer.name: one.reason for one in rejections(ALL, need)}

    assert found == {
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
    assert [one.reason for one in rejections(ALL, Hardware(cpu="cpu3g"))] == [
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
    refused = [one.offer for one in rejections(offers, need)]

    assert Counter([*accepted, *refused]) == Counter(offers)
    assert accepted == by_price(accepted)
    assert all(one.memory_gb >= memory for one in accepted)
