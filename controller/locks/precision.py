"""The precision of the base model that a lock records, or that follows from what it records."""

from __future__ import annotations

from collections.abc import Mapping

from controller.locks.certificate import Certificate
from remote.stages.common.precision import ALL, CUDA, NF4, precision

QUANTIZE = "quantize"


def recorded(lock: Certificate) -> str | None:
    """As the stage's program reported it; None for locks of earlier versions."""
    value = lock.environment.get("precision")
    return value if isinstance(value, str) and value in ALL else None


def derived(lock: Certificate) -> str:
    """Of a lock that does not record it: what its parameter `quantize` came to where it ran."""
    device = lock.environment.get("device")
    kind = device.get("kind") if isinstance(device, Mapping) else None
    if not isinstance(kind, str):
        kind = "cpu" if lock.cost.hardware.lower().startswith("cpu") else CUDA
    return precision(str(lock.parameters.get(QUANTIZE, "auto")), kind)


def same_precision(lock: Certificate, quantize: object) -> bool:
    """Whether a run with `quantize` would quantise as the locked one did."""
    return ((recorded(lock) or derived(lock)) == NF4) == (quantize == NF4)
