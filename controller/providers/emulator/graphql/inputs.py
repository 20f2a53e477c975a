"""Converts GraphQL inputs to pod requests and templates."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from controller.providers.emulator.account.pod_request import PodRequest
from controller.providers.emulator.catalog import GPUS
from controller.providers.emulator.errors import Problem
from controller.providers.emulator.records import Template

Input = Mapping[str, Any]
_CLOUDS = {"ALL": ("SECURE", "COMMUNITY"), None: ("SECURE", "COMMUNITY")}
WENT_WRONG = "Something went wrong. Please try again later or contact support."


def environment(rows: Any) -> dict[str, str]:
    return {row["key"]: row["value"] for row in rows or ()}


def ports(text: str | None) -> tuple[str, ...]:
    """Parse `22/tcp,8888/http`; invalid ports get the real API's vague error."""
    entries = tuple(part.strip() for part in (text or "").split(",") if part.strip())
    if any(re.fullmatch(r"\d{1,5}/(tcp|http)", part) is None for part in entries):
        raise Problem(400, WENT_WRONG, code="INTERNAL_SERVER_ERROR")
    return entries


def pod_request(fields: Input, template: Template | None) -> PodRequest:
    """A request without hardware; empty fields are the template's."""
    image = fields.get("imageName") or (template.image if template else "")
    if not image:
        raise Problem(400, "Container image name is required")
    variables = environment(fields.get("env"))
    cloud = fields.get("cloudType")
    inherited = template or Template(id="", name="", image="")
    network = fields.get("networkVolumeId") or None
    local = 0 if network else fields.get("volumeInGb") or inherited.volume_gb
    return PodRequest(
        name=fields.get("name") or "pod",
        image=image,
        disk_gb=fields.get("containerDiskInGb") or inherited.disk,
        args=fields.get("dockerArgs") or inherited.args,
        entrypoint=tuple(inherited.entrypoint),
        cmd=tuple(inherited.cmd),
        env={**inherited.env, **variables},
        ports=ports(fields.get("ports")) or tuple(inherited.ports),
        registry=fields.get("containerRegistryAuthId") or inherited.registry,
        volume_gb=local,
        mount_path=(fields.get("volumeMountPath") or "/runpod-volume") if local or network else "",
        network_volume=network,
        clouds=_CLOUDS.get(cloud, (cloud or "SECURE",)),
        data_centers=_words(fields.get("dataCenterId")),
        countries=_words(fields.get("countryCode")),
        start_ssh=bool(fields.get("startSsh")),
        start_jupyter=bool(fields.get("startJupyter")),
        global_networking=bool(fields.get("globalNetwork")),
    )


def _words(text: str | None) -> tuple[str, ...]:
    return tuple(word.strip() for word in (text or "").split(",") if word.strip())


def with_gpu(pod_request: PodRequest, fields: Input) -> PodRequest:
    kinds = [fields.get("gpuTypeId"), *(fields.get("gpuTypeIdList") or ())]
    kind = next((name for name in kinds if name in GPUS), None)
    if kind is None:
        raise Problem(400, "gpuTypeId is required" if not any(kinds) else "GPU type not found")
    return replace(
        pod_request,
        gpu=kind,
        gpu_count=fields.get("gpuCount") or 1,
        allowed_cuda=tuple(fields.get("allowedCudaVersions") or ()),
        min_cuda=fields.get("minCudaVersion") or None,
        min_memory_gb=fields.get("minMemoryInGb") or 0,
        min_vcpus=fields.get("minVcpuCount") or 0,
    )


def with_cpu(pod_request: PodRequest, fields: Input) -> PodRequest:
    """The request with the hardware of an id such as `cpu3c-2-4`: flavor, vCPUs, memory."""
    match = re.fullmatch(r"(?P<flavor>\w+)-(?P<vcpus>\d+)-\d+", fields["instanceId"])
    if match is None:
        raise Problem(400, "instanceId is not valid")
    cpu, vcpus = match["flavor"], int(match["vcpus"])
    path = pod_request.mount_path if pod_request.network_volume else ""
    return replace(pod_request, cpu=cpu, vcpu_count=vcpus, volume_gb=0, mount_path=path)


def edits(fields: Input) -> dict[str, Any]:
    """`podEditJob` as the changes a v2 PATCH would make."""
    names = {
        "dockerArgs": "args",
        "imageName": "image",
        "containerDiskInGb": "disk",
        "containerRegistryAuthId": "registry",
    }
    body = {new: fields[old] for old, new in names.items() if fields.get(old) is not None}
    if fields.get("env") is not None:
        body["env"] = environment(fields["env"])
    if fields.get("ports") is not None:
        body["ports"] = list(ports(fields["ports"]))
    if fields.get("volumeInGb"):
        path = fields.get("volumeMountPath") or "/workspace"
        body["mounts"] = {"persistent": {"size": fields["volumeInGb"], "path": path}}
    return body


def template_fields(fields: Input) -> dict[str, Any]:
    """A template's attributes."""
    return {
        "name": fields["name"],
        "image": fields["imageName"],
        "args": fields.get("dockerArgs") or "",
        "disk": fields["containerDiskInGb"],
        "volume_gb": fields["volumeInGb"],
        "mount_path": fields.get("volumeMountPath") or "/workspace",
        "ports": list(ports(fields.get("ports"))),
        "env": environment(fields.get("env")),
        "registry": fields.get("containerRegistryAuthId") or None,
        "serverless": bool(fields.get("isServerless")),
        "public": bool(fields.get("isPublic")),
        "startSsh": fields.get("startSsh", True) is not False,
        "startJupyter": fields.get("startJupyter", True) is not False,
    }
