"""REST v2: the catalog with availability."""

from __future__ import annotations

from collections import Counter
from typing import Any

from starlette.responses import Response
from starlette.routing import BaseRoute

from controller.providers.emulator.account import placement
from controller.providers.emulator.api import responses as views
from controller.providers.emulator.api.paging import listed
from controller.providers.emulator.api.routing import Call, Json, Service, ok, routes
from controller.providers.emulator.catalog import CPUS, DATA_CENTERS, GPUS, Cpu, DataCenter, Gpu
from controller.providers.emulator.cloud import PUBLIC_TEMPLATES, Cloud
from controller.providers.emulator.errors import Problem, invalid, not_found

_ONLY_WITH_INCLUDE = (
    "product", "count", "cloud", "countryCodes", "cudaVersions", "minCudaVersion", "vcpuCount",
)  # fmt: skip


def catalog_routes(service: Service) -> list[BaseRoute]:
    return [
        routes(service, "/v2/catalog/gpus", GET=list_gpus),
        routes(service, "/v2/catalog/gpus/{id}", GET=get_gpu),
        routes(service, "/v2/catalog/cpus", GET=list_cpus),
        routes(service, "/v2/catalog/cpus/{id}", GET=get_cpu),
        routes(service, "/v2/catalog/datacenters", GET=list_centers),
        routes(service, "/v2/catalog/datacenters/{id}", GET=get_center),
        routes(service, "/v2/catalog/templates", GET=list_templates),
    ]


def used_hardware(cloud: Cloud) -> Counter[str]:
    with cloud.lock:
        return placement.used_units(cloud.state.pods.values())


def gpu_units(cloud: Cloud, kind: str, used: Counter[str]) -> int:
    """Free units of a GPU type or CPU flavor, as the catalog reports them."""
    fault = cloud.faults.peek("no_capacity", gpu=kind)
    return 0 if fault is not None and fault.value != "stale" else placement.free(kind, used)


def _wants_availability(call: Call, products: tuple[str, ...]) -> bool:
    """Whether the query includes availability, which needs a product; 400 for filters without
    it."""
    included = "AVAILABILITY" in call.words("include", ("AVAILABILITY",))
    product = call.words("product", products)
    if included and not product:
        raise Problem(400, "product is required when include=AVAILABILITY")
    stray = [name for name in _ONLY_WITH_INCLUDE if name in call.query]
    if stray and not included:
        raise Problem(400, f"{stray[0]} is valid only with include=AVAILABILITY")
    if "cudaVersions" in call.query and "minCudaVersion" in call.query:
        raise Problem(400, "cudaVersions and minCudaVersion are mutually exclusive")
    return included


def list_gpus(call: Call) -> Response:
    availability = _wants_availability(call, ("POD", "CLUSTER", "SERVERLESS"))
    documents = [_gpu(call, gpu, availability=availability) for gpu in GPUS.values()]
    if call.words("countryCodes"):
        documents = [document for document in documents if "dataCenters" in document]
    return listed(call, "gpus", documents)


def get_gpu(call: Call) -> Response:
    availability = _wants_availability(call, ("POD", "CLUSTER", "SERVERLESS"))
    gpu = GPUS.get(call.path["id"])
    if gpu is None:
        raise not_found("gpu type")
    return ok(_gpu(call, gpu, availability=availability))


def _gpu(call: Call, gpu: Gpu, *, availability: bool) -> Json:
    # A price is quoted for either cloud, even if the cloud has none of this type.
    price = {
        "secure": gpu.secure or gpu.community,
        "community": gpu.community or gpu.secure,
    }
    document: dict[str, Any] = {
        "id": gpu.id,
        "name": gpu.name,
        "pool": gpu.pool,
        "manufacturer": gpu.manufacturer,
        "memory": gpu.memory_gb,
        "secure": gpu.secure > 0,
        "community": gpu.community > 0,
        "price": {**price, "serverless": round(gpu.secure * 1.6, 2)} if gpu.pool else price,
        "maxCount": {
            "secure": gpu.max_count if gpu.secure else 0,
            "community": gpu.max_count if gpu.community else 0,
        },
    }
    return {**document, **_gpu_availability(call, gpu)} if availability else document


def _gpu_availability(call: Call, gpu: Gpu) -> Json:
    count = call.integer("count", 1, 1)
    cloud = (call.words("cloud", ("SECURE", "COMMUNITY")) or ("SECURE",))[0]
    countries = call.words("countryCodes")
    versions = placement.fitting_cuda(
        gpu, _versions(call, "cudaVersions"), next(iter(_versions(call, "minCudaVersion")), None)
    )
    constrained = "cudaVersions" in call.query or "minCudaVersion" in call.query
    price = gpu.secure if cloud == "SECURE" else gpu.community
    centers = [
        data_center for data_center in gpu.data_centers
        if not countries or DATA_CENTERS[data_center].country in countries
    ]  # fmt: skip
    possible = price > 0 and centers and count <= gpu.max_count
    units = gpu_units(call.cloud, gpu.id, used_hardware(call.cloud))
    level = placement.level(units, count)
    if not possible or (constrained and not versions):
        return {"availability": "NONE"}
    versions_listed = [{"version": version, "available": level != "NONE"} for version in versions]
    return {
        "availability": level,
        "dataCenters": [
            {"id": center, "name": DATA_CENTERS[center].name, "availability": level}
            for center in centers
        ],
        **({"cudaVersions": versions_listed} if gpu.cuda else {}),
    }


def _versions(call: Call, name: str) -> tuple[str, ...]:
    versions = call.words(name)
    for version in versions:
        if not all(part.isdigit() for part in version.split(".")):
            raise invalid(f"$.{name}: '{version}' is no CUDA version")
    return versions


def list_cpus(call: Call) -> Response:
    availability = _wants_availability(call, ("POD", "SERVERLESS"))
    return listed(
        call, "cpus", [_cpu(call, cpu, availability=availability) for cpu in CPUS.values()]
    )


def get_cpu(call: Call) -> Response:
    availability = _wants_availability(call, ("POD", "SERVERLESS"))
    cpu = CPUS.get(call.path["id"])
    if cpu is None:
        raise not_found("cpu flavor")
    return ok(_cpu(call, cpu, availability=availability))


def _cpu(call: Call, cpu: Cpu, *, availability: bool) -> Json:
    serverless = round(cpu.usd_per_vcpu * 1.5, 4)
    document: dict[str, Any] = {
        "id": cpu.id,
        "name": cpu.name,
        "group": cpu.group,
        "vcpu": {"min": cpu.min_vcpu, "max": cpu.max_vcpu},
        "ramGbPerVcpu": cpu.ram_gb_per_vcpu,
        "price": {"securePerVcpu": cpu.usd_per_vcpu, "serverlessPerVcpu": serverless},
    }
    if not availability:
        return document
    count = call.integer("vcpuCount", cpu.min_vcpu, 2)
    units = gpu_units(call.cloud, cpu.id, used_hardware(call.cloud)) if count <= cpu.max_vcpu else 0
    level = placement.level(units, count)
    centers = [
        {"id": data_center, "name": DATA_CENTERS[data_center].name, "availability": level}
        for data_center in cpu.data_centers
    ]
    return {**document, "availability": level, "dataCenters": centers}


def list_centers(call: Call) -> Response:
    documents = [
        _center(call, data_center)
        for data_center in DATA_CENTERS.values()
        if _center_fits(call, data_center)
    ]
    return listed(call, "dataCenters", documents)


def get_center(call: Call) -> Response:
    center = DATA_CENTERS.get(call.path["id"])
    if center is None:
        raise not_found("data center")
    return ok(_center(call, center))


def _center_fits(call: Call, center: DataCenter) -> bool:
    regions, volumes = call.words("regions"), call.words("networkVolumeTypes")
    network = call.flag("globalNetwork")
    return (
        (not regions or center.region in regions)
        and set(volumes) <= set(center.volumes)
        and set(call.words("compliance")) <= set(center.compliance)
        and network in (None, center.global_network)
    )


def _center(call: Call, center: DataCenter) -> Json:
    include = call.words("include", ("GPU_AVAILABILITY", "CPU_AVAILABILITY"))
    used = used_hardware(call.cloud)
    document: dict[str, Any] = {
        "id": center.id,
        "name": center.name,
        "region": center.region,
        "networkVolumeTypes": list(center.volumes),
        "compliance": list(center.compliance),
        "globalNetwork": center.global_network,
    }
    kinds: dict[str, tuple[Gpu | Cpu, ...]] = {
        "gpuAvailability": tuple(GPUS.values()) if "GPU_AVAILABILITY" in include else (),
        "cpuAvailability": tuple(CPUS.values()) if "CPU_AVAILABILITY" in include else (),
    }
    for name, items in kinds.items():
        available = [item for item in items if center.id in item.data_centers]
        if available:
            document[name] = [_stock(call.cloud, item, used) for item in available]
    return document


def _stock(cloud: Cloud, item: Gpu | Cpu, used: Counter[str]) -> Json:
    count = item.min_vcpu if isinstance(item, Cpu) else 1
    level = placement.level(gpu_units(cloud, item.id, used), count)
    return {"id": item.id, "name": item.name, "availability": level}


def list_templates(call: Call) -> Response:
    source = call.words("source", ("official", "verified", "community")) or ("official",)
    templates = PUBLIC_TEMPLATES.values() if source == ("official",) else ()
    return listed(call, "templates", [views.template(template) for template in templates])
