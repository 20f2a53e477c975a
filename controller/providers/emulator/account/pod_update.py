"""Changes of a pod by PATCH; most of them restart the container."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controller.providers.emulator.account.pod_request import with_template
from controller.providers.emulator.errors import Problem
from controller.providers.emulator.records import Pod, Template

_PLAIN = {
    "args": "args",
    "disk": "disk_gb",
    "image": "image",
    "ports": "ports",
    "registry": "registry",
    "env": "env",
    "entrypoint": "entrypoint",
    "cmd": "cmd",
}
_APPLIED = ("image", "args", "disk", "ports", "registry", "env", "entrypoint", "cmd")


def apply(pod: Pod, body: Mapping[str, Any], template: Template | None) -> bool:
    """Change `pod`; True if its container has to be recreated. 400 for fixed fields."""
    _check_mounts(pod, body.get("mounts", {}))
    fields = dict(body)
    if template is not None:
        merged = with_template(body, template)
        fields |= {name: merged[name] for name in _APPLIED if name in merged}
    pod.name = fields.get("name", pod.name)
    pod.locked = fields.get("locked", pod.locked)
    pod.global_networking = fields.get("globalNetworking", pod.global_networking)
    before = _container(pod)
    for name, attribute in _PLAIN.items():
        if name in fields:
            setattr(pod, attribute, fields[name])
    _mount(pod, body.get("mounts", {}))
    return _container(pod) != before


def _container(pod: Pod) -> tuple[Any, ...]:
    values = (getattr(pod, attribute) for attribute in _PLAIN.values())
    return (*(repr(value) for value in values), pod.volume_gb, pod.mount_path)


def _check_mounts(pod: Pod, mounts: Mapping[str, Any]) -> None:
    if "network" in mounts:
        if not mounts["network"]:
            raise Problem(400, "clearing mounts is not supported")
        if pod.network_volume is None:
            raise Problem(400, "a network mount cannot be added after creation")
        if mounts["network"][0]["volumeId"] != pod.network_volume:
            raise Problem(400, "the volumeId of a network mount is immutable")
    if "persistent" in mounts:
        if not pod.volume_gb:
            raise Problem(400, "a persistent mount cannot be added after creation")
        if mounts["persistent"]["size"] < pod.volume_gb:
            raise Problem(400, "a persistent mount can only grow")


def _mount(pod: Pod, mounts: Mapping[str, Any]) -> None:
    if "network" in mounts:
        pod.mount_path = mounts["network"][0]["path"]
    if "persistent" in mounts:
        pod.volume_gb = int(mounts["persistent"]["size"])
        pod.mount_path = mounts["persistent"]["path"]
