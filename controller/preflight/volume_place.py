"""A pod with a network volume can only be in the data center of that volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from controller.errors import NotFound, UsageError
from controller.planner import pod_spec as order

if TYPE_CHECKING:
    from controller.planner.pod_spec import Shape
    from controller.providers.base import NetworkVolume, Provider
    from jobs.stage import Stage

WHERE = "podctl.toml: pod.network_volume_id"


def at_volume(provider: Provider, stages: Sequence[Stage], shape: Shape) -> Shape:
    """`shape`, restricted to its volume's data center; one request if there is a volume.

    Raises NotFound for a volume that the account does not have, UsageError if `stages` must be
    elsewhere; ProviderError.
    """
    if shape.network_volume_id is None:
        return shape
    return restricted(shape, stages, provider.volumes())


def restricted(shape: Shape, stages: Sequence[Stage], volumes: Sequence[NetworkVolume]) -> Shape:
    """The same with the list of the account's volumes. Pure."""
    wanted = shape.network_volume_id
    volume = next((volume for volume in volumes if volume.id == wanted), None)
    if volume is None:
        raise NotFound(
            f"the account has no network volume {wanted!r}", where=WHERE, hint="podctl volume list"
        )
    if not volume.data_center:
        return shape
    for stage in stages:
        asked = order.data_centers([stage], shape)
        if asked and volume.data_center not in asked:
            raise UsageError(
                f"{stage.name} must run in {', '.join(asked)}, and its network volume is in "
                f"{volume.data_center}",
                where=WHERE,
                hint=f"allow {volume.data_center} in data_centers, or use another volume",
            )
    return replace(shape, data_centers=(volume.data_center,))
