"""The resources of an account besides pods: SSH keys, templates, volumes, registries."""

from __future__ import annotations

import shutil
from typing import Any

from controller.providers.emulator.billing import intervals as billing
from controller.providers.emulator.catalog import DATA_CENTERS
from controller.providers.emulator.cloud import Cloud
from controller.providers.emulator.errors import Problem, not_found
from controller.providers.emulator.records import Registry, Secret, Template, Volume, new_id


def set_keys(cloud: Cloud, keys: list[str]) -> None:
    """Replace the account's SSH public keys."""
    with cloud.lock:
        cloud.state.ssh_keys = list(keys)
        cloud.save()


def add_template(cloud: Cloud, **fields: Any) -> Template:
    """Add a template. 400 if the name is taken."""
    with cloud.lock:
        if any(template.name == fields["name"] for template in cloud.state.templates.values()):
            raise Problem(400, "template name must be unique")
        template = Template(id=new_id(10), **fields)
        cloud.state.templates[template.id] = template
        cloud.save()
        return template


def check_registry(cloud: Cloud, registry: str | None) -> None:
    with cloud.lock:
        if registry is not None and registry not in cloud.state.registries:
            raise Problem(400, f"container registry auth {registry} not found")


def volume(cloud: Cloud, volume_id: str) -> Volume:
    volume = cloud.state.volumes.get(volume_id)
    if volume is None:
        raise not_found("network volume")
    return volume


def add_volume(cloud: Cloud, name: str, size: int, center: str, tier: str | None) -> Volume:
    """Create a network volume, which bills until it is deleted, attached or not."""
    data_center = DATA_CENTERS.get(center)
    if data_center is None or not data_center.volumes:
        fit = ", ".join(
            center_entry.id for center_entry in DATA_CENTERS.values() if center_entry.volumes
        )
        raise Problem(
            400, f"data center {center} does not support network volumes; supported: {fit}"
        )
    if tier is not None and tier not in data_center.volumes:
        raise Problem(400, f"data center {center} has no {tier} network volumes")
    with cloud.lock:
        volume = Volume(new_id(10), name, size, center, tier or data_center.volumes[0])
        cloud.state.volumes[volume.id] = volume
        cloud.meter.set(volume.id, "network", billing.network_rate(size), cloud.now())
        cloud.save()
        return volume


def change_volume(cloud: Cloud, volume_id: str, *, name: str | None, size: int | None) -> Volume:
    with cloud.lock:
        changed = volume(cloud, volume_id)
        if size is not None and size < changed.size:
            raise Problem(400, "network volume size can only increase")
        changed.name = name or changed.name
        changed.size = size or changed.size
        cloud.meter.set(changed.id, "network", billing.network_rate(changed.size), cloud.now())
        cloud.save()
        return changed


def remove_volume(cloud: Cloud, volume_id: str) -> None:
    with cloud.lock:
        volume(cloud, volume_id)
        if any(
            pod.network_volume == volume_id and pod.status != "TERMINATED"
            for pod in cloud.state.pods.values()
        ):
            raise Problem(400, "network volume is in use by a pod")
        del cloud.state.volumes[volume_id]
        cloud.meter.set(volume_id, "network", 0.0, cloud.now())
        cloud.save()
    shutil.rmtree(cloud.folder / "volumes" / volume_id, ignore_errors=True)


def add_secret(cloud: Cloud, name: str, value: str, description: str) -> Secret:
    """Add a secret for `{{ RUNPOD_SECRET_name }}` in environments. 400 if the name is taken."""
    with cloud.lock:
        if any(existing.name == name for existing in cloud.state.secrets.values()):
            raise Problem(400, "secret name must be unique")
        secret = Secret(new_id(20), name, value, description, cloud.now())
        cloud.state.secrets[secret.id] = secret
        cloud.save()
        return secret


def remove_secret(cloud: Cloud, secret_id: str) -> None:
    with cloud.lock:
        if cloud.state.secrets.pop(secret_id, None) is None:
            raise not_found("secret")
        cloud.save()


def add_registry(cloud: Cloud, name: str, username: str, password: str) -> Registry:
    with cloud.lock:
        registry = Registry(f"cl{new_id(23)}", name, username, password)
        cloud.state.registries[registry.id] = registry
        cloud.save()
        return registry


def remove_registry(cloud: Cloud, registry_id: str) -> None:
    """Delete a registry. 400 while a pod uses it; templates silently lose it."""
    with cloud.lock:
        if registry_id not in cloud.state.registries:
            raise Problem(400, "Registry auth not found")
        pods = cloud.state.pods.values()
        if any(pod.registry == registry_id and pod.status != "TERMINATED" for pod in pods):
            raise Problem(400, "registry credential is in use by a pod")
        del cloud.state.registries[registry_id]
        for template in cloud.state.templates.values():
            if template.registry == registry_id:
                template.registry = None
        cloud.save()
