"""REST v2 documents of the emulator's records."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from controller.providers.emulator.container.container import ssh_user
from controller.providers.emulator.container.ports import HOST
from controller.providers.emulator.records import ACTIONS, Pod, Template, Volume

Json = dict[str, Any]
PROXY = "ssh.runpod.io"


def moment(seconds: float | None) -> str | None:
    """RFC 3339, milliseconds, UTC."""
    if seconds is None:
        return None
    return (
        datetime.fromtimestamp(seconds, UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )


def pod(pod: Pod, now: float, mode: str, *, stale_runtime: bool = False) -> Json:
    """The published Pod. `stale_runtime`: a stopped pod shows its last runtime."""
    status = pod.ghost_status if pod.status == "TERMINATED" and pod.ghost_status else pod.status
    live = runtime(pod, now, stale=stale_runtime)
    return {
        "id": pod.id,
        "name": pod.name,
        "status": status,
        "actions": list(ACTIONS[status]),
        "image": pod.image,
        "args": pod.args,
        "entrypoint": pod.entrypoint,
        "cmd": pod.cmd,
        "disk": pod.disk_gb,
        "mounts": mounts(pod),
        "ports": pod.ports,
        "env": pod.env,
        "registry": pod.registry,
        **compute(pod),
        "cloud": pod.cloud,
        "dataCenterId": pod.data_center,
        "cudaVersion": pod.cuda,
        "ssh": ssh(pod, live, mode),
        "template": None,
        "cost": pod.cost,
        "locked": pod.locked,
        "globalNetworking": global_networking(pod),
        "runtime": live,
        "createdAt": moment(pod.created_at),
        "startedAt": moment(pod.started_at),
    }


def mounts(pod: Pod) -> Json:
    if pod.network_volume:
        return {"network": [{"volumeId": pod.network_volume, "path": pod.mount_path}]}
    if pod.volume_gb:
        return {"persistent": {"size": pod.volume_gb, "path": pod.mount_path}}
    return {}


def compute(pod: Pod) -> Json:
    if pod.cpu:
        return {"cpu": {"id": pod.cpu, "vcpuCount": pod.vcpu_count, "memory": pod.memory_gb}}
    gpu = {"id": pod.gpu, "count": pod.gpu_count}
    return {"gpu": {**gpu, "vcpuCount": pod.vcpu_count, "memory": pod.memory_gb}}


def global_networking(pod: Pod) -> Json:
    if not pod.global_networking:
        return {"enabled": False}
    address = ".".join(str(10 + ord(letter) % 200) for letter in pod.id[:3])
    return {"enabled": True, "ip": f"10.{address}", "internalDns": f"{pod.id}.runpod.internal"}


def ready(pod: Pod, now: float) -> bool:
    """Whether the host reports the container."""
    return pod.status == "RUNNING" and now >= pod.no_runtime_until


def reported_ports(pod: Pod, now: float) -> dict[str, int]:
    """Private to public port, as the API has it: not always as it is."""
    return pod.reported_ports if now < pod.stale_until else pod.public_ports


def runtime(pod: Pod, now: float, *, stale: bool = False) -> Json | None:
    """Null until the host reports the container, and when the pod does not run."""
    if not ready(pod, now) and not (stale and pod.started_at and pod.status == "EXITED"):
        return None
    end = now if pod.status == "RUNNING" else pod.ended_at or now
    ports = reported_ports(pod, now)
    return {
        "uptime": max(0, int(end - (pod.started_at or end))),
        "gpus": [{"util": 0, "memoryUtil": 0} for _ in range(pod.gpu_count)],
        "cpu": {"util": 1},
        "memory": {"util": 3},
        "ports": [_port(entry, ports) for entry in pod.ports],
    }


def _port(entry: str, ports: dict[str, int]) -> Json:
    private, protocol = entry.split("/")
    address = HOST if protocol == "tcp" else "100.65.0.101"
    return {
        "private": int(private),
        "public": ports.get(private),
        "type": protocol,
        "ip": address,
    }


def ssh(pod: Pod, live: Json | None, mode: str) -> Json:
    """Proxy and direct endpoints; the emulator runs no proxy."""
    token = f"{pod.id}-{pod.proxy_suffix}"
    proxy = {"host": PROXY, "port": 22, "username": token, "command": f"ssh {token}@{PROXY}"}
    rows = live["ports"] if live else []
    port = next((r["public"] for r in rows if (r["private"], r["type"]) == (22, "tcp")), None)
    direct = None
    if port is not None:
        user = ssh_user(mode)
        command = f"ssh {user}@{HOST} -p {port}"
        direct = {"host": HOST, "port": port, "username": user, "command": command}
    return {"proxy": None if pod.status == "PROVISIONING" else proxy, "direct": direct}


def template(template: Template) -> Json:
    mount = {"persistent": {"size": template.volume_gb, "path": template.mount_path}}
    return {
        "id": template.id,
        "name": template.name,
        "image": template.image,
        "args": template.args,
        "entrypoint": template.entrypoint,
        "cmd": template.cmd,
        "disk": template.disk,
        "mounts": mount if template.volume_gb else {},
        "ports": template.ports,
        "env": template.env,
        "registry": template.registry,
        "serverless": template.serverless,
        "public": template.public,
        "category": template.category,
        "startSsh": template.startSsh,
        "startJupyter": template.startJupyter,
        "allowedCudaVersions": template.allowedCudaVersions,
    }


def volume(volume: Volume) -> Json:
    return {
        "id": volume.id,
        "name": volume.name,
        "size": volume.size,
        "dataCenter": volume.data_center,
        "type": volume.type,
    }
