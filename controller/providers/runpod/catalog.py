"""Converts RunPod's catalog to offers, priced for the requested hardware. Pure."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from controller.providers.base import Hardware, HardwareType, Offer
from controller.providers.runpod.catalog_models import CpuType, GpuType, PlacementModel

UNKNOWN = "UNKNOWN"
_LEVELS = ("NONE", "LOW", "MEDIUM", "HIGH")


def gpu_query(need: Hardware) -> dict[str, str]:
    """The query of the GPU catalog with availability for `need`."""
    query = {
        "include": "AVAILABILITY",
        "product": "POD",
        "count": str(need.gpu_count),
        "cloud": need.cloud,
    }
    if need.min_cuda:
        query["minCudaVersion"] = need.min_cuda
    return query


def cpu_query(vcpu_count: int) -> dict[str, str]:
    """The query of the CPU catalog with availability; 0 means any size."""
    query = {"include": "AVAILABILITY", "product": "POD"}
    return {**query, "vcpuCount": str(vcpu_count)} if vcpu_count else query


def gpu_offer(document: Any, need: Hardware) -> Offer | None:
    """The offer of `need.gpu_count` GPUs of one type in `need.cloud`; None if there is none.

    An entry without id, memory or price is no offer.
    """
    try:
        entry = GpuType.model_validate(document)
    except ValidationError:
        return None
    community = need.cloud == "COMMUNITY"
    price = entry.price.community if community else entry.price.secure
    offered = entry.community if community else entry.secure
    limits = entry.max_count
    limit = (limits.community if community else limits.secure) if limits else None
    if price is None or offered is False or (limit is not None and limit < need.gpu_count):
        return None
    return Offer(
        kind="gpu",
        id=entry.id,
        name=entry.name or entry.id,
        count=need.gpu_count,
        memory_gb=entry.memory,
        usd_per_hour=round(price * need.gpu_count, 6),
        availability=_stock(entry.availability, entry.data_centers, need.data_centers),
        cloud=need.cloud,
    )


def cpu_offer(document: Any, vcpu_count: int, data_centers: tuple[str, ...] = ()) -> Offer | None:
    """`vcpu_count` vCPUs of one flavor (0: its smallest); None if it is not offered."""
    try:
        entry = CpuType.model_validate(document)
    except ValidationError:
        return None
    count = vcpu_count or entry.vcpu.min
    price = entry.price.secure_per_vcpu
    if price is None or not entry.vcpu.min <= count <= entry.vcpu.max:
        return None
    return Offer(
        kind="cpu",
        id=entry.id,
        name=entry.name or entry.id,
        count=count,
        memory_gb=int(entry.ram_gb_per_vcpu * count),
        usd_per_hour=round(price * count, 6),
        availability=_stock(entry.availability, entry.data_centers, data_centers),
        cloud="SECURE",
    )


def gpu_type(document: Any, cloud: str) -> HardwareType | None:
    """One GPU type in `cloud`; None for an incomplete entry."""
    try:
        entry = GpuType.model_validate(document)
    except ValidationError:
        return None
    community = cloud == "COMMUNITY"
    offered = entry.community if community else entry.secure
    limits = entry.max_count
    price = entry.price.community if community else entry.price.secure
    return HardwareType(
        kind="gpu",
        id=entry.id,
        name=entry.name or entry.id,
        memory_gb=entry.memory,
        usd_per_hour=price if price and offered is not False else None,
        most=(limits.community if community else limits.secure) if limits else None,
        data_centers=tuple(center.id for center in entry.data_centers or ()),
        cuda=tuple(cuda.version for cuda in entry.cuda or ()),
    )


def cpu_type(document: Any, cloud: str) -> HardwareType | None:
    """One CPU flavor; there are none in the community cloud."""
    try:
        entry = CpuType.model_validate(document)
    except ValidationError:
        return None
    price = entry.price.secure_per_vcpu if cloud == "SECURE" else None
    return HardwareType(
        kind="cpu",
        id=entry.id,
        name=entry.name or entry.id,
        memory_gb=entry.ram_gb_per_vcpu,
        usd_per_hour=price or None,
        least=entry.vcpu.min,
        most=entry.vcpu.max,
        data_centers=tuple(center.id for center in entry.data_centers or ()),
    )


def _stock(
    overall: str | None, centers: list[PlacementModel] | None, wanted: tuple[str, ...]
) -> str:
    """The stock in the wanted data centers; overall stock if none is wanted or none is listed."""
    if not wanted or centers is None:
        return overall if overall in _LEVELS else UNKNOWN
    levels = [center.availability for center in centers if center.id in wanted]
    ranks = [_LEVELS.index(overall) for overall in levels if overall in _LEVELS]
    if ranks:
        return _LEVELS[max(ranks)]
    return UNKNOWN if levels else "NONE"
