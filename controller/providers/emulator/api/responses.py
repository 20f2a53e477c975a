"""What the v2 API shows of what the cloud remembers."""

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


def pod(one: Pod, now: float, mode: str, *, stale_runtime: bool = False) -> Json:
    """The published Pod. `stale_runtime` lets a stopped pod show what it last had."""
    status = one.ghost_status if one.status == "TERMINATED" and one.ghost_status else one.status
    live = runtime(one, now, stale=stale_runtime)
    return {
        "id": one.id,
        "name": one.name,
        "status": status,
        "actions": list(ACTIONS[status]),
        "image": one.image,
        "args": one.args,
        "entrypoint": one.entrypoint,
        "cmd": one.cmd,
        "disk": one.disk_gb,
        "mounts": mounts(one),
        "ports": one.ports,
        "env": one.env,
        "registry": one.registry,
        **compute(one),
        "cloud": one.cloud,
        "dataCenterId": one.data_center,
        "cudaVersion": one.cuda,
        "ssh": ssh(one, live, mode),
        "template": None,
        "cost": one.cost,
        "locked": one.locked,
        "globalNetworking": global_networking(one),
        "runtime": live,
        "createdAt": moment(one.created_at),
        "startedAt": moment(one.started_at),
    }


def mounts(one: Pod) -> Json:
    if one.network_volume:
        return {"network": [{"volumeId": one.network_volume, "path": one.mount_path}]}
    if one.volume_gb:
        return {"persistent": {"size": one.volume_gb, "path": one.mount_path}}
    return {}


def compute(one: Pod) -> Json:
    if one.cpu:
        return {"cpu": {"id": one.cpu, "vcpuCount": one.vcpu_count, "memory": one.memory_gb}}
    gpu = {"id": one.gpu, "count": one.gpu_count}
    return {"gpu": {**gpu, "vcpuCount": one.vcpu_count, "memory": one.memory_gb}}


def global_networking(one: Pod) -> Json:
    if not one.global_networking:
        return {"enabled": False}
    address = ".".join(str(10 + ord(letter) % 200) for letter in one.id[:3])
    return {"enabled": True, "ip": f"10.{address}", "internalDns": f"{one.id}.runpod.internal"}


def ready(one: Pod, now: float) -> bool:
    """Whether the host reports the container."""
    return one.status == "RUNNING" and now >= one.no_runtime_until


def reported_ports(one: Pod, now: float) -> dict[str, int]:
    """Private to public port, as the API has it: not always as it is."""
    return one.reported_ports if now < one.stale_until else one.public_ports


def runtime(one: Pod, now: float, *, stale: bool = False) -> Json | None:
    """Null until the host reports the container, and when the pod does not run."""
    if not ready(one, now) and not (stale and one.started_at and one.status == "EXITED"):
        return None
    end = now if one.status == "RUNNING" else one.ended_at or now
    ports = reported_ports(one, now)
    return {
        "uptime": max(0, int(end - (one.started_at or end))),
        "gpus": [{"util": 0, "memoryUtil": 0} for _ in range(one.gpu_count)],
        "cpu": {"util": 1},
        "memory": {"util": 3},
        "ports": [_port(entry, ports) for entry in one.ports],
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


def ssh(one: Pod, live: Json | None, mode: str) -> Json:
    """Proxy and direct endpoints; nothing of ours listens at the proxy."""
    token = f"{one.id}-{one.proxy_suffix}"
    proxy = {"host": PROXY, "port": 22, "username": token, "command": f"ssh {token}@{PROXY}"}
    rows = live["ports"] if live else []
    port = next((r["public"] for r in rows if (r["private"], r["type"]) == (22, "tcp")), None)
    direct = None
    if port is not None:
        user = ssh_user(mode)
        command = f"ssh {user}@{HOST} -p {port}"
        direct = {"host": HOST, "port": port, "username": user, "command": command}
    return {"proxy": None if one.status == "PROVISIONING" else proxy, "direct": direct}


def template(one: Template) -> Json:
    mount = {"persistent": {"size": one.volume_gb, "path": one.mount_path}}
    return {
        "id": one.id,
        "name": one.name,
        "image": one.image,
        "args": one.args,
        "entrypoint": one.entrypoint,
        "cmd": one.cmd,
        "disk": one.disk,
        "mounts": mount if one.volume_gb else {},
        "ports": one.ports,
        "env": one.env,
        "registry": one.registry,
        "serverless": one.serverless,
        "public": one.public,
        "category": one.category,
        "startSsh": one.startSsh,
        "startJupyter": one.startJupyter,
        "allowedCudaVersions": one.allowedCudaVersions,
    }


def volume(one: Volume) -> Json:
    return {
        "id": one.id,
        "name": one.name,
        "size": one.size,
        "dataCenter": one.data_center,
        "type": one.type,
    }
