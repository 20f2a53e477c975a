"""Which network volume a command means, and the client for its files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from controller.credentials.secret import Secret
from controller.errors import NotFound, UsageError
from controller.storage.access import URL, StorageAccess, storage_access

if TYPE_CHECKING:
    from controller.project.project import Project
    from controller.providers.base import NetworkVolume, Provider
    from controller.storage.client import VolumeClient


def chosen_volume(
    volumes: tuple[NetworkVolume, ...], wanted: str | None, configured: str | None
) -> NetworkVolume:
    """The volume called `wanted` (id or name), else podctl.toml's. Pure.

    Raises NotFound, or UsageError for a name that several volumes have.
    """
    name = wanted or configured
    if name is None:
        ids = ", ".join(volume.id for volume in volumes)
        raise NotFound(
            "no network volume is chosen",
            where="podctl.toml: pod.network_volume_id is not set",
            hint=f"--volume with one of: {ids}" if ids else "podctl volume create",
        )
    matches = [volume for volume in volumes if volume.id == name] or [
        volume for volume in volumes if volume.name == name
    ]
    if len(matches) > 1:
        raise UsageError(
            f"{len(matches)} volumes are called {name!r}",
            hint=f"name one by its id: {', '.join(volume.id for volume in matches)}",
        )
    if not matches:
        raise NotFound(
            f"the account has no network volume {name!r}",
            where="--volume" if wanted else "podctl.toml: pod.network_volume_id",
            hint="podctl volume list",
        )
    return matches[0]


def access_to(
    volume: NetworkVolume, emulator: tuple[str, Secret] | None, environ: Mapping[str, str]
) -> StorageAccess:
    """The storage API of the volume's data center.

    `emulator`: base URL and API key, where the provider is the emulator, which has the storage API
    at the same address; RUNPOD_S3_ENDPOINT_URL goes before. Raises UsageError, Refused.
    """
    if emulator is None or URL in environ:
        return storage_access(volume.data_center, environ)
    from controller.providers.emulator_keys import storage_key

    base_url, api_key = emulator
    access, secret = storage_key(api_key.reveal())
    endpoint = f"{base_url}/s3/{volume.data_center.lower()}"
    return StorageAccess(endpoint, volume.data_center, access, Secret(secret))


def open_chosen(
    project: Project, provider: Provider, wanted: str | None
) -> tuple[NetworkVolume, VolumeClient]:
    """The volume called `wanted`, else podctl.toml's, and a client for its files.

    Raises as `chosen_volume` and `access_to`; ProviderError.
    """
    from controller.project.provider import access_of
    from controller.storage.client import open_volume

    volume = chosen_volume(provider.volumes(), wanted, project.config.pod.network_volume_id)
    emulator = None
    if project.config.project.provider == "emulator":
        found = access_of(project)
        emulator = found.base_url, found.api_key
    return volume, open_volume(access_to(volume, emulator, os.environ), volume.id)
