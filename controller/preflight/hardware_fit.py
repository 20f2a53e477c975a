"""Which condition of a stage's hardware leaves nothing of the provider's catalog. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from controller.planner import cuda
from controller.providers.base import Hardware, HardwareType, Inventory
from controller.providers.hardware_names import all_matching_ids
from controller.providers.offers import units

MOST = 3  # types named for one condition


@dataclass(frozen=True)
class Exclusion:
    """A key of podctl.toml, and in words which types it excludes."""

    key: str
    text: str


def exclusions(inventory: Inventory, need: Hardware) -> tuple[Exclusion, ...]:
    """Empty when a type fits, whether or not it has stock now; else what excludes each type."""
    candidates = _named(inventory.types, need)
    found: dict[str, list[str]] = {}
    for one in sorted(candidates, key=lambda one: (one.usd_per_hour or 1e9, one.id)):
        wrong = next((wrong for check in _CHECKS if (wrong := check(one, need))), None)
        if wrong is None:
            return ()
        found.setdefault(wrong.key, []).append(wrong.text)
    return tuple(Exclusion(key, _listed(texts)) for key, texts in found.items())


def _named(types: Sequence[HardwareType], need: Hardware) -> list[HardwareType]:
    words = (need.cpu,) if need.cpu is not None else need.gpus
    if not words:
        return list(types)
    ids = all_matching_ids(words, types)
    return [one for one in types if one.id in ids]


def _listed(texts: list[str]) -> str:
    rest = len(texts) - MOST
    return "; ".join(texts[:MOST]) + (f"; and {rest} more types" if rest > 0 else "")


def _vendor(one: HardwareType, need: Hardware) -> Exclusion | None:
    if need.gpus or not one.id.startswith("AMD"):
        return None
    return Exclusion("gpus", f"{one.name} has no CUDA and is taken only where it is named")


def _memory(one: HardwareType, need: Hardware) -> Exclusion | None:
    if need.cpu is not None or one.memory_gb >= need.min_gpu_memory_gb:
        return None
    text = f"{one.name} has {one.memory_gb:g} GB of about {need.min_gpu_memory_gb} GB needed"
    return Exclusion("min_gpu_memory_gb", text)


def _cloud(one: HardwareType, need: Hardware) -> Exclusion | None:
    if one.usd_per_hour is not None:
        return None
    return Exclusion("cloud", f"{one.name} is not offered in the {need.cloud} cloud")


def _count(one: HardwareType, need: Hardware) -> Exclusion | None:
    count, key = _units(need)
    if key == "vcpu_count" and count & (count - 1):
        return Exclusion(key, f"it must be a power of two, not {count}")
    if one.least <= count and (one.most is None or count <= one.most):
        return None
    most = "any number" if one.most is None else str(one.most)
    return Exclusion(key, f"a pod with {one.name} has {one.least} to {most}, not {count}")


def _driver(one: HardwareType, need: Hardware) -> Exclusion | None:
    if need.cpu is not None or need.min_cuda is None or not one.cuda:
        return None
    if any(cuda.order(version) >= cuda.order(need.min_cuda) for version in one.cuda):
        return None
    text = f"drivers of {one.name} hosts support CUDA {max(one.cuda, key=cuda.order)} at most"
    return Exclusion("min_cuda", f"{text}, not {need.min_cuda}")


def _price(one: HardwareType, need: Hardware) -> Exclusion | None:
    count, _ = _units(need)
    price = (one.usd_per_hour or 0.0) * count
    if need.max_usd_per_hour is None or price <= need.max_usd_per_hour + 1e-9:
        return None
    return Exclusion(
        "max_usd_per_hour",
        f"{units(one.kind, one.name, count)} costs ${price:.2f}/h, "
        f"over ${need.max_usd_per_hour:.2f}/h",
    )


def _units(need: Hardware) -> tuple[int, str]:
    if need.cpu is not None:
        return need.vcpu_count, "vcpu_count"
    return need.gpu_count, "gpu_count"


_CHECKS: tuple[Callable[[HardwareType, Hardware], Exclusion | None], ...] = (
    _vendor,
    _memory,
    _cloud,
    _count,
    _driver,
    _price,
)
