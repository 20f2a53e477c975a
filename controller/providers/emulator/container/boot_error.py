"""System-log lines of a host that cannot start a container."""

from __future__ import annotations

from typing import Any

DEFAULT = "driver"
_DAEMON = "Error response from daemon: "
_START = f"error starting container: {_DAEMON}failed to create task for container: "
_RUNC = "failed to create shim task: OCI runtime create failed: runc create failed: "
_PULL = f"error pulling image: {_DAEMON}"
LINES = {
    "driver": (
        f"{_START}{_RUNC}unable to start container process: error during container init: error "
        "running prestart hook #0: exit status 1, stdout: , stderr: Auto-detected mode as 'legacy' "
        "nvidia-container-cli: requirement error: unsatisfied condition: cuda>=12.9, please update "
        "your driver to a newer version, or use an earlier cuda container: unknown"
    ),
    "toolkit": f"{_START}nvidia-container-cli: initialization error: nvml error: driver not loaded",
    "create": "error creating container: container: create: container create: driver failed",
    "space": f"{_PULL}write /var/lib/docker/tmp/layer: no space left on device",
    "ratelimit": f"{_PULL}toomanyrequests: You have reached your unauthenticated pull rate limit.",
    "manifest": f"{_PULL}manifest for @image@ not found: manifest unknown: manifest unknown",
    "denied": (
        f"{_PULL}pull access denied for @image@, repository does not exist or may require "
        "'docker login': denied: requested access to the resource is denied"
    ),
    "unauthorized": f"{_PULL}Head @image@: unauthorized: authentication required",
}


def line(value: Any, image: str) -> str:
    """The log line for a fault's `value`: a key of `LINES`, or the text itself."""
    text = str(value or DEFAULT)
    return LINES.get(text, text).replace("@image@", image)
