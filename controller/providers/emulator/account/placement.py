"""Places a requested pod by the catalog and the used hardware. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from controller.providers.emulator.account.pod_request import PodRequest
from controller.providers.emulator.catalog import CPU_STOCK, CPUS, DATA_CENTERS, GPUS, Cpu, Gpu
from controller.providers.emulator.errors import NO_CAPACITY, Problem
from controller.providers.emulator.records import Pod

NO_DISK = "There are no longer any instances available with enough disk space."


@dataclass(frozen=True)
class Placement:
    """The cloud, data center and hardware of a pod, with its price in USD per hour."""

    cloud: str
    data_center: str
    cuda: str | None
    vcpu_count: int
    memory_gb: int
    usd_per_hour: float


def used_units(pods: Iterable[Pod]) -> Counter[str]:
    """GPUs of each type and vCPUs of each flavor that pods use now."""
    used: Counter[str] = Counter()
    for pod in pods:
        if pod.active:
            used[pod.gpu or pod.cpu or ""] += pod.gpu_count if pod.gpu else pod.vcpu_count
    return used


def free(kind: str, used: Counter[str]) -> int:
    """Free GPUs of a type, or free vCPUs of a flavor."""
    stock = GPUS[kind].stock if kind in GPUS else CPU_STOCK
    return stock - used[kind]


def level(units: int, count: int) -> str:
    """The catalog's availability level for `units` free units when `count` are requested."""
    if units < count:
        return "NONE"
    pods = units // count
    return "LOW" if pods <= 2 else "MEDIUM" if pods <= 8 else "HIGH"


def cuda_order(version: str) -> tuple[int, ...]:
    """Sort key: 12.11 is above 12.2; a bare major version means any of its releases."""
    return tuple(int(part) for part in version.split("."))


def fitting_cuda(gpu: Gpu, allowed: Iterable[str], minimum: str | None) -> tuple[str, ...]:
    exact = set(allowed)
    return tuple(
        version
        for version in gpu.cuda
        if (not exact or version in exact)
        and (minimum is None or cuda_order(version) >= cuda_order(minimum))
    )


def place(request: PodRequest, used: Counter[str], volume_dc: str | None) -> Placement:
    """The placement of a request. Raises a 400 with the real API's text if there is none."""
    if request.cpu is not None:
        return _place_cpu(request, used, volume_dc)
    gpu = GPUS.get(request.gpu or "")
    if gpu is None:
        raise Problem(400, f"gpu type '{request.gpu}' not found")
    for cloud in request.clouds:
        placement = _place_gpu(request, gpu, cloud, used, volume_dc)
        if placement is not None:
            return placement
    raise Problem(400, NO_CAPACITY, code="SUPPLY_CONSTRAINT")


def _place_gpu(
    request: PodRequest, gpu: Gpu, cloud: str, used: Counter[str], volume_dc: str | None
) -> Placement | None:
    price = gpu.secure if cloud == "SECURE" else gpu.community
    count = request.gpu_count
    if price == 0 or not 0 < count <= gpu.max_count or free(gpu.id, used) < count:
        return None
    center = _center(gpu.data_centers, request, volume_dc)
    versions = fitting_cuda(gpu, request.allowed_cuda, request.min_cuda)
    constrained = bool(request.allowed_cuda or request.min_cuda)
    vcpus, memory = gpu.host_vcpus * count, gpu.host_memory_gb * count
    too_small = vcpus < request.min_vcpus or memory < request.min_memory_gb
    if center is None or too_small or (constrained and not versions):
        return None
    cuda = versions[-1] if versions else None
    return Placement(cloud, center, cuda, vcpus, memory, round(price * count, 6))


def _place_cpu(request: PodRequest, used: Counter[str], volume_dc: str | None) -> Placement:
    cpu = CPUS.get(request.cpu or "")
    if cpu is None:
        raise Problem(400, f"cpu flavor '{request.cpu}' not found")
    if not cpu.min_vcpu <= request.vcpu_count <= cpu.max_vcpu:
        raise Problem(
            400, f"cpu.vcpuCount must be between {cpu.min_vcpu} and {cpu.max_vcpu} for {cpu.id}"
        )
    if request.disk_gb > request.vcpu_count * cpu.disk_gb_per_vcpu:
        raise Problem(400, NO_DISK)
    center = _center(cpu.data_centers, request, volume_dc)
    if center is None or "SECURE" not in request.clouds or free(cpu.id, used) < request.vcpu_count:
        raise Problem(400, NO_CAPACITY, code="SUPPLY_CONSTRAINT")
    return Placement(
        "SECURE", center, None, request.vcpu_count, cpu_memory(cpu, request.vcpu_count),
        round(cpu.usd_per_vcpu * request.vcpu_count, 6),
    )  # fmt: skip


def cpu_memory(cpu: Cpu, vcpus: int) -> int:
    return int(cpu.ram_gb_per_vcpu * vcpus)


def _center(offered: tuple[str, ...], request: PodRequest, volume_dc: str | None) -> str | None:
    """The first data center that has the hardware and meets all conditions of the request."""
    candidates = request.data_centers or offered
    if request.by_availability:  # stock is equal everywhere: use the catalog's order
        candidates = tuple(name for name in offered if name in candidates)
    for center in candidates:
        if center not in offered or (volume_dc and center != volume_dc):
            continue
        if request.countries and DATA_CENTERS[center].country not in request.countries:
            continue
        if request.global_networking and not DATA_CENTERS[center].global_network:
            continue
        return center
    return None
