"""Authorises requests: the account's key may do everything, a pod's own key almost nothing."""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass

from controller.providers.emulator.cloud import Cloud
from controller.providers.emulator.errors import Problem

_OWN = re.compile(r"/v2/pods/(?P<pod>[^/]+)(?P<action>/action)?")
_OWN_METHODS = {False: ("GET", "DELETE"), True: ("POST",)}


@dataclass(frozen=True)
class Caller:
    """`pod_id` is set for a pod-scoped key."""

    key: str
    pod_id: str | None = None


def bearer(header: str | None) -> str | None:
    scheme, _, key = (header or "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" and key.strip() else None


def check_owner(cloud: Cloud, key: str | None) -> None:
    """401 without the account's own key; a pod's key is not enough."""
    if key is None or not _same(key, cloud.api_key):
        raise Problem(401, "the control endpoints need the emulator's key as a bearer token")


def _same(key: str, other: str) -> bool:
    return hmac.compare_digest(key.encode(), other.encode())


def caller(cloud: Cloud, key: str | None, method: str, path: str) -> Caller:
    """The owner of the key. 401 without a known key; 403 if pods' keys are denied."""
    if key is None:
        raise Problem(401, "missing bearer token")
    if _same(key, cloud.api_key):
        return Caller(key)
    if key.startswith("rpa_pod_"):
        with cloud.lock:
            pods = [pod for pod in cloud.state.pods.values() if pod.status != "TERMINATED"]
        for pod in pods:
            if _same(pod.key, key):
                if cloud.faults.take("pod_key_denied", pod=pod.id, method=method, path=path):
                    raise Problem(403, "access denied")
                return Caller(key, pod.id)
    raise Problem(401, "invalid bearer token")


def authorize(requester: Caller, method: str, path: str) -> None:
    """403 for a pod's key, except to read, act on or delete its own pod."""
    if requester.pod_id is None:
        return
    match = _OWN.fullmatch(path)
    own_pod = match is not None and match["pod"] == requester.pod_id
    if match is None or not own_pod or method not in _OWN_METHODS[bool(match["action"])]:
        raise Problem(403, "access denied")
