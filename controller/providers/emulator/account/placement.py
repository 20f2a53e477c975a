"""Where a pod goes: pure decisions over the catalog and what is taken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from controller.providers.emulator.account.pod_request import Draft
from controller.providers.emulator.catalog import CPU_STOCK, CPUS, DATA_CENTERS, GPUS, Cpu, Gpu
from controller.providers.emulator.errors import NO_CAPACITY, Problem
from controller.providers.emulator.records import Pod

NO_DISK = "There are no longer any instances available with enough disk space."


@dataclass(frozen=True)
class Placement:
    """A place for a pod and its price, USD per hour for the whole pod."""

    cloud: str
    data_center: str
    cuda: str | None
    vcpu_count: int
    memory_gb: int
    usd_per_hour: float


def taken(pods: Iterable[Pod]) -> Counter[str]:
    """GPUs of each type and vCPUs of each flavor that pods hold now."""
    held: Counter[str] = Counter()
    for pod in pods:
        if pod.active:
            held[pod.gpu or pod.cpu or ""] += pod.gpu_count if pod.gpu else pod.vcpu_count
    return held


def free(kind: str, held: Counter[str]) -> int:
    """GPUs of a type, or vCPUs of a flavor, that nobody holds."""
    stock = GPUS[kind].stock if kind in GPUS else CPU_STOCK
    return stock - held[kind]


def level(units: int, count: int) -> str:
    """The catalog's word for `units` free where `count` are wanted."""
    if units < count:
        return "NONE"
    pods = units // count
    return "LOW" if pods <= 2 else "MEDIUM" if pods <= 8 else "HIGH"


def cuda_order(version: str) -> tuple[int, ...]:
    """12.11 is above 12.2; a bare major means any of its releases."""
    return tuple(int(part) for part in version.split("."))


def fitting_cuda(gpu: Gpu, allowed: Iterable[str], minimum: str | None) -> tuple[str, ...]:
    exact = set(allowed)
    return tuple(
        version
        for version in gpu.cuda
        if (not exact or version in exact)
        and (minimum is None or cuda_order(version) >= cuda_order(minimum))
    )


def place(draft: Draft, held: Counter[str], volume_dc: str | None) -> Placement:
    """A place, or 400 with the real API's words for having none."""
    if draft.cpu is not None:
        return _place_cpu(draft, held, volume_dc)
    gpu = GPUS.get(draft.gpu or "")
    if gpu is None:
        raise Problem(400, f"gpu type '{draft.gpu}' not found")
    for cloud in draft.clouds:
        found = _place_gpu(draft, gpu, cloud, held, volume_dc)
        if found is not None:
            return found
    raise Problem(400, NO_CAPACITY, code="SUPPLY_CONSTRAINT")


def _place_gpu(
    draft: Draft, gpu: Gpu, cloud: str, held: Counter[str], volume_dc: str | None
) -> Placement | None:
    price = gpu.secure if cloud == "SECURE" else gpu.community
    count = draft.gpu_count
    if price == 0 or not 0 < count <= gpu.max_count or free(gpu.id, held) < count:
        return None
    center = _center(gpu.data_centers, draft, volume_dc)
    versions = fitting_cuda(gpu, draft.allowed_cuda, draft.min_cuda)
    constrained = bool(draft.allowed_cuda or draft.min_cuda)
    vcpus, memory = gpu.host_vcpus * count, gpu.host_memory_gb * count
    too_small = vcpus < draft.min_vcpus or memory < draft.min_memory_gb
    if center is None or too_small or (constrained and not versions):
        return None
    cuda = versions[-1] if versions else None
    return Placement(cloud, center, cuda, vcpus, memory, round(price * count, 6))


def _place_cpu(draft: Draft, held: Counter[str], volume_dc: str | None) -> Placement:
    cpu = CPUS.get(draft.cpu or "")
    if cpu is None:
        raise Problem(400, f"cpu flavor '{draft.cpu}' not found")
    if not cpu.min_vcpu <= draft.vcpu_count <= cpu.max_vcpu:
        raise Problem(
            400, f"cpu.vcpuCount must be between {cpu.min_vcpu} and {cpu.max_vcpu} for {cpu.id}"
        )
    if draft.disk_gb > draft.vcpu_count * cpu.disk_gb_per_vcpu:
        raise Problem(400, NO_DISK)
    center = _center(cpu.data_centers, draft, volume_dc)
    if center is None or "SECURE" not in draft.clouds or free(cpu.id, held) < draft.vcpu_count:
        raise Problem(400, NO_CAPACITY, code="SUPPLY_CONSTRAINT")
    return Placement(
        "SECURE", center, None, draft.vcpu_count, cpu_memory(cpu, draft.vcpu_count),
        round(cpu.usd_per_vcpu * draft.vcpu_count, 6),
    )  # fmt: skip


def cpu_memory(cpu: Cpu, vcpus: int) -> int:
    return int(cpu.ram_gb_per_vcpu * vcpus)


def _center(offered: tuple[str, ...], draft: Draft, volume_dc: str | None) -> str | None:
    """The first data centre that offers the hardware and everything the draft insists on."""
    wanted = draft.data_centers or offered
    if draft.by_availability:  # each has as much: the order is the catalog's
        wanted = tuple(name for name in offered if name in wanted)
    for center in wanted:
        if center not in offered or (volume_dc and center != volume_dc):
            continue
        if draft.countries and DATA_CENTERS[center].country not in draft.countries:
            continue
        if draft.global_networking and not DATA_CENTERS[center].global_network:
            continue
        return center
    return None
