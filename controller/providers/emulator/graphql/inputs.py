"""Pods and templates as GraphQL asks for them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from controller.providers.emulator.account.pod_request import Draft
from controller.providers.emulator.catalog import GPUS
from controller.providers.emulator.errors import Problem
from controller.providers.emulator.records import Template

Input = Mapping[str, Any]
_CLOUDS = {"ALL": ("SECURE", "COMMUNITY"), None: ("SECURE", "COMMUNITY")}
WENT_WRONG = "Something went wrong. Please try again later or contact support."


def environment(rows: Any) -> dict[str, str]:
    return {row["key"]: row["value"] for row in rows or ()}


def ports(text: str | None) -> tuple[str, ...]:
    """`22/tcp,8888/http`; what is no port is what the real API answers so vaguely."""
    found = tuple(part.strip() for part in (text or "").split(",") if part.strip())
    if any(re.fullmatch(r"\d{1,5}/(tcp|http)", part) is None for part in found):
        raise Problem(400, WENT_WRONG, code="INTERNAL_SERVER_ERROR")
    return found


def draft(told: Input, template: Template | None) -> Draft:
    """A draft without hardware; empty fields are the template's."""
    image = told.get("imageName") or (template.image if template else "")
    if not image:
        raise Problem(400, "Container image name is required")
    own = environment(told.get("env"))
    cloud = told.get("cloudType")
    inherited = template or Template(id="", name="", image="")
    network = told.get("networkVolumeId") or None
    local = 0 if network else told.get("volumeInGb") or inherited.volume_gb
    return Draft(
        name=told.get("name") or "pod",
        image=image,
        disk_gb=told.get("containerDiskInGb") or inherited.disk,
        args=told.get("dockerArgs") or inherited.args,
        entrypoint=tuple(inherited.entrypoint),
        cmd=tuple(inherited.cmd),
        env={**inherited.env, **own},
        ports=ports(told.get("ports")) or tuple(inherited.ports),
        registry=told.get("containerRegistryAuthId") or inherited.registry,
        volume_gb=local,
        mount_path=(told.get("volumeMountPath") or "/runpod-volume") if local or network else "",
        network_volume=network,
        clouds=_CLOUDS.get(cloud, (cloud or "SECURE",)),
        data_centers=_words(told.get("dataCenterId")),
        countries=_words(told.get("countryCode")),
        start_ssh=bool(told.get("startSsh")),
        start_jupyter=bool(told.get("startJupyter")),
        global_networking=bool(told.get("globalNetwork")),
    )


def _words(text: str | None) -> tuple[str, ...]:
    return tuple(word.strip() for word in (text or "").split(",") if word.strip())


def with_gpu(made: Draft, told: Input) -> Draft:
    kinds = [told.get("gpuTypeId"), *(told.get("gpuTypeIdList") or ())]
    kind = next((name for name in kinds if name in GPUS), None)
    if kind is None:
        raise Problem(400, "gpuTypeId is required" if not any(kinds) else "GPU type not found")
    return replace(
        made,
        gpu=kind,
        gpu_count=told.get("gpuCount") or 1,
        allowed_cuda=tuple(told.get("allowedCudaVersions") or ()),
        min_cuda=told.get("minCudaVersion") or None,
        min_memory_gb=told.get("minMemoryInGb") or 0,
        min_vcpus=told.get("minVcpuCount") or 0,
    )


def with_cpu(made: Draft, told: Input) -> Draft:
    """`cpu3c-2-4`: flavor, vCPUs, memory."""
    match = re.fullmatch(r"(?P<flavor>\w+)-(?P<vcpus>\d+)-\d+", told["instanceId"])
    if match is None:
        raise Problem(400, "instanceId is not valid")
    cpu, vcpus = match["flavor"], int(match["vcpus"])
    path = made.mount_path if made.network_volume else ""
    return replace(made, cpu=cpu, vcpu_count=vcpus, volume_gb=0, mount_path=path)


def edits(told: Input) -> dict[str, Any]:
    """`podEditJob` as the changes a v2 PATCH would make."""
    names = {
        "dockerArgs": "args",
        "imageName": "image",
        "containerDiskInGb": "disk",
        "containerRegistryAuthId": "registry",
    }
    body = {new: told[old] for old, new in names.items() if told.get(old) is not None}
    if told.get("env") is not None:
        body["env"] = environment(told["env"])
    if told.get("ports") is not None:
        body["ports"] = list(ports(told["ports"]))
    if told.get("volumeInGb"):
        path = told.get("volumeMountPath") or "/workspace"
        body["mounts"] = {"persistent": {"size": told["volumeInGb"], "path": path}}
    return body


def template_fields(told: Input) -> dict[str, Any]:
    """A template's attributes."""
    return {
        "name": told["name"],
        "image": told["imageName"],
        "args": told.get("dockerArgs") or "",
        "disk": told["containerDiskInGb"],
        "volume_gb": told["volumeInGb"],
        "mount_path": told.get("volumeMountPath") or "/workspace",
        "ports": list(ports(told.get("ports"))),
        "env": environment(told.get("env")),
        "registry": told.get("containerRegistryAuthId") or None,
        "serverless": bool(told.get("isServerless")),
        "public": bool(told.get("isPublic")),
        "startSsh": told.get("startSsh", True) is not False,
        "startJupyter": told.get("startJupyter", True) is not False,
    }
