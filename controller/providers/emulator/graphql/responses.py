"""GraphQL documents of the emulator's records."""

from __future__ import annotations

from typing import Any

from controller.providers.emulator.api import responses as views
from controller.providers.emulator.catalog import DATA_CENTERS, GPUS, DataCenter
from controller.providers.emulator.cloud import Cloud
from controller.providers.emulator.records import Pod, Registry, Secret, Template, Volume

Json = dict[str, Any]
SPOT = 1.0  # spot price divided by on-demand price: equal in this catalog
# GraphQL reports the desired status: RUNNING from the create call on.
_DESIRED = {"EXITED": "EXITED", "TERMINATED": "EXITED"}


def pod(cloud: Cloud, pod: Pod) -> Json:
    now = cloud.now()
    live = views.runtime(pod, now)
    return {
        "id": pod.id,
        "name": pod.name,
        "desiredStatus": _DESIRED.get(pod.status, "RUNNING"),
        "imageName": pod.image,
        "dockerArgs": pod.args,
        "dockerId": None,
        "env": [f"{key}={value}" for key, value in pod.env.items()],
        "ports": ",".join(pod.ports),
        "port": None,
        "gpuCount": pod.gpu_count,
        "gpus": [{"id": f"{pod.machine}-{i}", "podId": pod.id} for i in range(pod.gpu_count)],
        "vcpuCount": pod.vcpu_count,
        "memoryInGb": pod.memory_gb,
        "containerDiskInGb": pod.disk_gb,
        "volumeInGb": pod.volume_gb,
        "volumeMountPath": pod.mount_path,
        "volumeEncrypted": False,
        "networkVolumeId": pod.network_volume,
        "networkVolume": _attached(cloud, pod),
        "containerRegistryAuthId": pod.registry,
        "templateId": None,
        "costPerHr": pod.usd_per_hour,
        "adjustedCostPerHr": pod.usd_per_hour,
        "costMultiplier": 1.0,
        "podType": "INTERRUPTABLE" if pod.interruptible else "RESERVED",
        "locked": pod.locked,
        "machineId": pod.machine,
        "machine": _machine(pod),
        "machineType": "GPU" if pod.gpu else "CPU",
        "cpuFlavorId": pod.cpu,
        "lastStatusChange": pod.last_change,
        "lastStartedAt": views.moment(pod.started_at),
        "createdAt": views.moment(pod.created_at),
        "uptimeSeconds": live["uptime"] if live else 0,
        "runtime": _runtime(pod, live),
        "consumerUserId": "user_emulator",
        "version": pod.life,
    }


def _attached(cloud: Cloud, pod: Pod) -> Json | None:
    record = cloud.state.volumes.get(pod.network_volume or "")
    return volume(record) if record else None


def _machine(pod: Pod) -> Json:
    gpu = GPUS.get(pod.gpu or "")
    return {
        "podHostId": f"{pod.id}-{pod.proxy_suffix}",
        "gpuDisplayName": gpu.name if gpu else None,
        "gpuTypeId": pod.gpu,
        "gpuType": gpu_type(pod.gpu) if pod.gpu else None,
        "location": DATA_CENTERS[pod.data_center].country,
        "dataCenterId": pod.data_center,
        "secureCloud": pod.cloud == "SECURE",
        "supportPublicIp": True,
        "costPerHr": pod.usd_per_hour,
        "cpuCount": pod.vcpu_count,
        "listed": True,
    }


def _runtime(pod: Pod, live: Json | None) -> Json | None:
    if live is None:
        return None
    return {
        "uptimeInSeconds": live["uptime"],
        "ports": [_port(row) for row in live["ports"]],
        "gpus": [
            {"id": f"{pod.machine}-{i}", "gpuUtilPercent": 0, "memoryUtilPercent": 0}
            for i in range(pod.gpu_count)
        ],
        "container": {"cpuPercent": 1, "memoryPercent": 3},
    }


def _port(row: Json) -> Json:
    return {
        "ip": row["ip"],
        "isIpPublic": row["type"] == "tcp",
        "privatePort": row["private"],
        "publicPort": row["public"],
        "type": row["type"],
    }


def gpu_type(kind: str) -> Json:
    gpu = GPUS[kind]
    secure, community = gpu.secure or None, gpu.community or None
    return {
        "id": gpu.id,
        "displayName": gpu.name,
        "manufacturer": "Nvidia" if gpu.manufacturer == "NVIDIA" else gpu.manufacturer,
        "memoryInGb": gpu.memory_gb,
        "cudaCores": gpu.cuda_cores,
        "maxGpuCount": gpu.max_count,
        "maxGpuCountSecureCloud": gpu.max_count if secure else 0,
        "maxGpuCountCommunityCloud": gpu.max_count if community else 0,
        "minPodGpuCount": 1,
        "secureCloud": secure is not None,
        "communityCloud": community is not None,
        "securePrice": secure,
        "communityPrice": community,
        "oneWeekPrice": secure and round(secure * 0.95, 4),
        "oneMonthPrice": secure and round(secure * 0.92, 4),
        "threeMonthPrice": secure and round(secure * 0.88, 4),
        "sixMonthPrice": secure and round(secure * 0.85, 4),
        "secureSpotPrice": secure and round(secure * SPOT, 4),
        "communitySpotPrice": community and round(community * SPOT, 4),
        "clusterPrice": None,
        "nodeGroupDatacenters": [],
    }


def data_center(center: DataCenter) -> Json:
    return {
        "id": center.id,
        "name": center.name,
        "location": center.country,
        "listed": True,
        "storageSupport": bool(center.volumes),
        "compliance": list(center.compliance),
    }


def volume(volume: Volume) -> Json:
    return {
        "id": volume.id,
        "name": volume.name,
        "size": volume.size,
        "dataCenterId": volume.data_center,
        "dataCenter": data_center(DATA_CENTERS[volume.data_center]),
    }


def template(template: Template) -> Json:
    return {
        "id": template.id,
        "name": template.name,
        "imageName": template.image,
        "dockerArgs": template.args,
        "containerDiskInGb": template.disk,
        "volumeInGb": template.volume_gb,
        "volumeMountPath": template.mount_path,
        "ports": ",".join(template.ports),
        "env": [{"key": key, "value": value} for key, value in template.env.items()],
        "isServerless": template.serverless,
        "isPublic": template.public,
        "startSsh": template.startSsh,
        "startJupyter": template.startJupyter,
        "readme": "",
        "containerRegistryAuthId": template.registry,
    }


def secret(secret: Secret) -> Json:
    """The secret without its value."""
    return {
        "id": secret.id,
        "name": secret.name,
        "description": secret.description,
        "createdAt": views.moment(secret.created_at),
    }


def registry(registry: Registry) -> Json:
    return {"id": registry.id, "name": registry.name}
