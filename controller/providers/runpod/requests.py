"""Builds the request bodies. Pure. REST v2 has no defaults, so every field is given."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from controller.providers.base import Kind, PodSpec, ProviderError


def create_body(spec: PodSpec) -> dict[str, Any]:
    """The body of `POST /v2/pods`.

    Raises: ProviderError (REFUSED, not sent) for a volume on a CPU pod, which cannot have one.
    """
    return {
        "name": spec.name,
        "image": spec.image,
        "args": spec.args,
        "env": dict(spec.env),
        "disk": spec.disk_gb,
        "ports": list(spec.ports),
        "cloud": spec.offer.cloud,
        "dataCenterIds": list(spec.data_centers),
        "startSsh": False,  # the caller sends PUBLIC_KEY itself: the account may have no key
        "startJupyter": False,
        "globalNetworking": False,
        **_hardware(spec),
        **_mounts(spec),
    }


def _hardware(spec: PodSpec) -> dict[str, Any]:
    if spec.offer.kind == "cpu":
        return {"cpu": {"id": spec.offer.id, "vcpuCount": spec.offer.count}}
    gpu: dict[str, Any] = {"id": spec.offer.id, "count": spec.offer.count}
    if spec.min_cuda:
        gpu["minCudaVersion"] = spec.min_cuda
    return {"gpu": gpu}


def _mounts(spec: PodSpec) -> dict[str, Any]:
    if spec.network_volume_id:
        mount = {"volumeId": spec.network_volume_id, "path": spec.mount_path}
        return {"mounts": {"network": [mount]}}
    if not spec.volume_gb:
        return {}
    if spec.offer.kind == "cpu":
        raise ProviderError(
            "a CPU pod has no volume of its own",
            kind=Kind.REFUSED,
            sent=False,
            where="create a pod",
            hint="use a network volume (pod.network_volume_id), or volume_gb = 0",
        )
    return {"mounts": {"persistent": {"size": spec.volume_gb, "path": spec.mount_path}}}


def same_key(key: str, other: str) -> bool:
    """Whether two public keys are the same key; the comment does not count."""
    return key.split()[:2] == other.split()[:2]


def rfc3339(seconds: float) -> str:
    """Unix seconds in the API's time format."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
