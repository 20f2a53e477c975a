"""What GraphQL shows of what the cloud remembers."""

from __future__ import annotations

from typing import Any

from controller.providers.emulator.api import responses as views
from controller.providers.emulator.catalog import DATA_CENTERS, GPUS, DataCenter
from controller.providers.emulator.cloud import Cloud
from controller.providers.emulator.records import Pod, Registry, Secret, Template, Volume

Json = dict[str, Any]
SPOT = 1.0  # spot price over on-demand price: the catalog makes no difference
# GraphQL reports what is wanted, not what is: RUNNING from the moment of rental.
_DESIRED = {"EXITED": "EXITED", "TERMINATED": "EXITED"}


def pod(cloud: Cloud, one: Pod) -> Json:
    now = cloud.now()
    live = views.runtime(one, now)
    return {
        "id": one.id,
        "name": one.name,
        "desiredStatus": _DESIRED.get(one.status, "RUNNING"),
        "imageName": one.image,
        "dockerArgs": one.args,
        "dockerId": None,
        "env": [f"{key}={value}" for key, value in one.env.items()],
        "ports": ",".join(one.ports),
        "port": None,
        "gpuCount": one.gpu_count,
        "gpus": [{"id": f"{one.machine}-{i}", "podId": one.id} for i in range(one.gpu_count)],
        "vcpuCount": one.vcpu_count,
        "memoryInGb": one.memory_gb,
        "containerDiskInGb": one.disk_gb,
        "volumeInGb": one.volume_gb,
        "volumeMountPath": one.mount_path,
        "volumeEncrypted": False,
        "networkVolumeId": one.network_volume,
        "networkVolume": _attached(cloud, one),
        "containerRegistryAuthId": one.registry,
        "templateId": None,
        "costPerHr": one.usd_per_hour,
        "adjustedCostPerHr": one.usd_per_hour,
        "costMultiplier": 1.0,
        "podType": "INTERRUPTABLE" if one.interruptible else "RESERVED",
        "locked": one.locked,
        "machineId": one.machine,
        "machine": _machine(one),
        "machineType": "GPU" if one.gpu else "CPU",
        "cpuFlavorId": one.cpu,
        "lastStatusChange": one.last_change,
        "lastStartedAt": views.moment(one.started_at),
        "createdAt": views.moment(one.created_at),
        "uptimeSeconds": live["uptime"] if live else 0,
        "runtime": _runtime(one, live),
        "consumerUserId": "user_emulator",
        "version": one.life,
    }


def _attached(cloud: Cloud, one: Pod) -> Json | None:
    found = cloud.state.volumes.get(one.network_volume or "")
    return volume(found) if found else None


def _machine(one: Pod) -> Json:
    gpu = GPUS.get(one.gpu or "")
    return {
        "podHostId": f"{one.id}-{one.proxy_suffix}",
        "gpuDisplayName": gpu.name if gpu else None,
        "gpuTypeId": one.gpu,
        "gpuType": gpu_type(one.gpu) if one.gpu else None,
        "location": DATA_CENTERS[one.data_center].country,
        "dataCenterId": one.data_center,
        "secureCloud": one.cloud == "SECURE",
        "supportPublicIp": True,
        "costPerHr": one.usd_per_hour,
        "cpuCount": one.vcpu_count,
        "listed": True,
    }


def _runtime(one: Pod, live: Json | None) -> Json | None:
    if live is None:
        return None
    return {
        "uptimeInSeconds": live["uptime"],
        "ports": [_port(row) for row in live["ports"]],
        "gpus": [
            {"id": f"{one.machine}-{i}", "gpuUtilPercent": 0, "memoryUtilPercent": 0}
            for i in range(one.gpu_count)
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
    one = GPUS[kind]
    secure, community = one.secure or None, one.community or None
    return {
        "id": one.id,
        "displayName": one.name,
        "manufacturer": "Nvidia" if one.manufacturer == "NVIDIA" else one.manufacturer,
        "memoryInGb": one.memory_gb,
        "cudaCores": one.cuda_cores,
        "maxGpuCount": one.max_count,
        "maxGpuCountSecureCloud": one.max_count if secure else 0,
        "maxGpuCountCommunityCloud": one.max_count if community else 0,
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


def data_center(one: DataCenter) -> Json:
    return {
        "id": one.id,
        "name": one.name,
        "location": one.country,
        "listed": True,
        "storageSupport": bool(one.volumes),
        "compliance": list(one.compliance),
    }


def volume(one: Volume) -> Json:
    return {
        "id": one.id,
        "name": one.name,
        "size": one.size,
        "dataCenterId": one.data_center,
        "dataCenter": data_center(DATA_CENTERS[one.data_center]),
    }


def template(one: Template) -> Json:
    return {
        "id": one.id,
        "name": one.name,
        "imageName": one.image,
        "dockerArgs": one.args,
        "containerDiskInGb": one.disk,
        "volumeInGb": one.volume_gb,
        "volumeMountPath": one.mount_path,
        "ports": ",".join(one.ports),
        "env": [{"key": key, "value": value} for key, value in one.env.items()],
        "isServerless": one.serverless,
        "isPublic": one.public,
        "startSsh": one.startSsh,
        "startJupyter": one.startJupyter,
        "readme": "",
        "containerRegistryAuthId": one.registry,
    }


def secret(one: Secret) -> Json:
    """Its value is never shown."""
    return {
        "id": one.id,
        "name": one.name,
        "description": one.description,
        "createdAt": views.moment(one.created_at),
    }


def registry(one: Registry) -> Json:
    return {"id": one.id, "name": one.name}
