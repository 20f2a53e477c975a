"""The project's choices about pods, as the planner takes them."""

from __future__ import annotations

from controller.planner.pod_spec import Shape
from controller.project.project import Project


def shape_of(project: Project, api_base: str = "") -> Shape:
    """The project's choices about pods."""
    pod = project.config.pod
    return Shape(
        image=pod.image,
        disk_gb=pod.disk_gb,
        volume_gb=pod.volume_gb,
        network_volume_id=pod.network_volume_id,
        cloud=pod.cloud,
        data_centers=pod.data_centers,
        api_base=api_base,
    )
