"""What a reported status means for podctl. Pure."""

from __future__ import annotations

from controller.providers.base import Endpoint, Pod, PodStatus

_FINAL = (PodStatus.EXITED, PodStatus.ERROR, PodStatus.TERMINATED)


def endpoint_of(pod: Pod | None) -> Endpoint | None:
    """The address to connect to; None until the pod is ready."""
    return pod.endpoint if pod is not None and pod.ready else None


def is_up(pod: Pod | None) -> bool:
    return pod is not None and pod.status is not PodStatus.EXITED


def is_booting(pod: Pod | None) -> bool:
    return pod is not None and pod.status not in _FINAL and endpoint_of(pod) is None
