"""A requested pod, from either API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from controller.providers.emulator.errors import Problem, invalid
from controller.providers.emulator.records import Template

NO_CONFIGURATION = "You must either provide a template id or pod configuration parameters"


@dataclass(frozen=True)
class PodRequest:
    """Exactly one of `gpu` and `cpu`. Sizes in GB; `clouds` in order of preference."""

    name: str
    image: str
    disk_gb: int
    args: str = ""
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[str, ...] = ()
    registry: str | None = None
    volume_gb: int = 0
    mount_path: str = ""
    network_volume: str | None = None
    clouds: tuple[str, ...] = ("SECURE",)
    gpu: str | None = None
    gpu_count: int = 1  # 0: cannot be placed
    cpu: str | None = None
    vcpu_count: int = 0
    data_centers: tuple[str, ...] = ()
    by_availability: bool = False  # else the data centers are tried in the given order
    countries: tuple[str, ...] = ()
    allowed_cuda: tuple[str, ...] = ()
    min_cuda: str | None = None
    min_memory_gb: int = 0  # of the host, for the complete pod
    min_vcpus: int = 0  # of the host, for the complete pod
    start_ssh: bool = False
    start_jupyter: bool = False
    global_networking: bool = False
    interruptible: bool = False


def from_body(body: Mapping[str, Any], template: Template | None) -> PodRequest:
    """The request of a checked v2 create body; the template gives defaults."""
    merged = {**with_template(body, template)}
    if "disk" not in merged:
        raise Problem(400, NO_CONFIGURATION)
    gpu, cpu = merged.get("gpu"), merged.get("cpu")
    pod_request = PodRequest(
        name=merged["name"],
        image=merged["image"],
        disk_gb=int(merged["disk"]),
        args=merged.get("args", ""),
        entrypoint=tuple(merged.get("entrypoint", ())),
        cmd=tuple(merged.get("cmd", ())),
        env=merged.get("env", {}),
        ports=tuple(merged.get("ports", ())),
        registry=merged.get("registry"),
        clouds=(merged.get("cloud", "SECURE"),),
        data_centers=tuple(merged.get("dataCenterIds", ())),
        by_availability=merged.get("dataCenterPriority", "").lower() == "availability",
        start_ssh=merged.get("startSsh", False),
        start_jupyter=merged.get("startJupyter", False),
        global_networking=merged.get("globalNetworking", False),
    )
    pod_request = _mounted(pod_request, merged.get("mounts", {}), cpu=cpu is not None)
    if cpu is not None:
        return replace(pod_request, cpu=cpu["id"], vcpu_count=int(cpu["vcpuCount"]))
    return _with_gpu(pod_request, gpu or {}, template)


def with_template(body: Mapping[str, Any], template: Template | None) -> dict[str, Any]:
    """`body` over the template's container settings; `env` merges key by key, the body wins."""
    if template is None:
        return dict(body)
    if template.serverless:
        raise invalid("$.templateId: a serverless template cannot be used for a pod")
    base: dict[str, Any] = {
        "image": template.image,
        "args": template.args,
        "disk": template.disk,
        "ports": template.ports,
        "registry": template.registry,
        "startSsh": template.startSsh,
        "startJupyter": template.startJupyter,
    }
    if template.entrypoint:
        base["entrypoint"] = template.entrypoint
    if template.cmd:
        base["cmd"] = template.cmd
    if template.volume_gb:
        base["mounts"] = {"persistent": {"size": template.volume_gb, "path": template.mount_path}}
    return {**base, **body, "env": {**template.env, **body.get("env", {})}}


def _mounted(pod_request: PodRequest, mounts: Mapping[str, Any], *, cpu: bool) -> PodRequest:
    if mounts.get("network"):
        mount = mounts["network"][0]
        return replace(pod_request, network_volume=mount["volumeId"], mount_path=mount["path"])
    if "persistent" in mounts and not cpu:  # CPU pods do not inherit a template's
        mount = mounts["persistent"]
        return replace(pod_request, volume_gb=int(mount["size"]), mount_path=mount["path"])
    return pod_request


def _with_gpu(
    pod_request: PodRequest, gpu: Mapping[str, Any], template: Template | None
) -> PodRequest:
    count = int(
        gpu.get("count", 0)
    )  # documented default 1, but the real scheduler finds nothing without it
    has_cuda = "allowedCudaVersions" in gpu or "minCudaVersion" in gpu
    inherited = template.allowedCudaVersions if template and not has_cuda else ()
    return replace(
        pod_request,
        gpu=gpu["id"],
        gpu_count=count,
        allowed_cuda=tuple(gpu.get("allowedCudaVersions", inherited)),
        min_cuda=gpu.get("minCudaVersion"),
        min_memory_gb=int(gpu.get("minRamPerGpu", 0)) * count,
        min_vcpus=int(gpu.get("minVcpuCountPerGpu", 0)) * count,
    )
