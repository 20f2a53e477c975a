"""What an account owns besides pods: SSH keys, templates, network volumes, registries."""

from __future__ import annotations

import shutil
from typing import Any

from controller.providers.emulator.billing import intervals as billing
from controller.providers.emulator.catalog import DATA_CENTERS
from controller.providers.emulator.cloud import Cloud
from controller.providers.emulator.errors import Problem, not_found
from controller.providers.emulator.records import Registry, Secret, Template, Volume, new_id


def set_keys(cloud: Cloud, keys: list[str]) -> None:
    """The account's SSH public keys, all of them."""
    with cloud.lock:
        cloud.state.ssh_keys = list(keys)
        cloud.save()


def add_template(cloud: Cloud, **fields: Any) -> Template:
    """400 when the name is taken."""
    with cloud.lock:
        if any(template.name == fields["name"] for template in cloud.state.templates.values()):
            raise Problem(400, "template name must be unique")
        made = Template(id=new_id(10), **fields)
        cloud.state.templates[made.id] = made
        cloud.save()
        return made


def check_registry(cloud: Cloud, registry: str | None) -> None:
    with cloud.lock:
        if registry is not None and registry not in cloud.state.registries:
            raise Problem(400, f"container registry auth {registry} not found")


def volume(cloud: Cloud, volume_id: str) -> Volume:
    found = cloud.state.volumes.get(volume_id)
    if found is None:
        raise not_found("network volume")
    return found


def add_volume(cloud: Cloud, name: str, size: int, center: str, tier: str | None) -> Volume:
    """It bills from now until it is deleted, attached or not."""
    known = DATA_CENTERS.get(center)
    if known is None or not known.volumes:
        fit = ", ".join(
            data_center.id for data_center in DATA_CENTERS.values() if data_center.volumes
        )
        raise Problem(
            400, f"data center {center} does not support network volumes; supported: {fit}"
        )
    if tier is not None and tier not in known.volumes:
        raise Problem(400, f"data center {center} has no {tier} network volumes")
    with cloud.lock:
        made = Volume(new_id(10), name, size, center, tier or known.volumes[0])
        cloud.state.volumes[made.id] = made
        cloud.meter.set(made.id, "network", billing.network_rate(size), cloud.now())
        cloud.save()
        return made


def change_volume(cloud: Cloud, volume_id: str, *, name: str | None, size: int | None) -> Volume:
    with cloud.lock:
        found = volume(cloud, volume_id)
        if size is not None and size < found.size:
            raise Problem(400, "network volume size can only increase")
        found.name = name or found.name
        found.size = size or found.size
        cloud.meter.set(found.id, "network", billing.network_rate(found.size), cloud.now())
        cloud.save()
        return found


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
    """For `{{ RUNPOD_SECRET_name }}` in a pod's environment. 400 when the name is taken."""
    with cloud.lock:
        if any(secret.name == name for secret in cloud.state.secrets.values()):
            raise Problem(400, "secret name must be unique")
        made = Secret(new_id(20), name, value, description, cloud.now())
        cloud.state.secrets[made.id] = made
        cloud.save()
        return made


def remove_secret(cloud: Cloud, secret_id: str) -> None:
    with cloud.lock:
        if cloud.state.secrets.pop(secret_id, None) is None:
            raise not_found("secret")
        cloud.save()


def add_registry(cloud: Cloud, name: str, username: str, password: str) -> Registry:
    with cloud.lock:
        made = Registry(f"cl{new_id(23)}", name, username, password)
        cloud.state.registries[made.id] = made
        cloud.save()
        return made


def remove_registry(cloud: Cloud, registry_id: str) -> None:
    """400 while a pod uses it; templates that name it lose it in silence."""
    with cloud.lock:
        if registry_id not in cloud.state.registries:
            raise Problem(400, "Registry auth not found")
        users = cloud.state.pods.values()
        if any(user.registry == registry_id and user.status != "TERMINATED" for user in users):
            raise Problem(400, "registry credential is in use by a pod")
        del cloud.state.registries[registry_id]
        for template in cloud.state.templates.values():
            if template.registry == registry_id:
                template.registry = None
        cloud.save()
