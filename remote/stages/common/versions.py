"""The environment of a stage: versions of its packages, and its device."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import Any

from .precision import precision

PACKAGES = (
    "torch",
    "transformers",
    "trl",
    "peft",
    "datasets",
    "accelerate",
    "tokenizers",
    "safetensors",
    "bitsandbytes",
    "liger-kernel",
)


def versions() -> dict[str, str]:
    """Versions by package name; packages that are not installed are left out."""
    by_name = {"python": platform.python_version(), "system": platform.platform()}
    for name in PACKAGES:
        try:
            by_name[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return by_name


def environment(quantize: str) -> dict[str, Any]:
    """Versions, device, and the precision that `quantize` comes to on it."""
    about = device()
    return versions() | {"device": about, "precision": precision(quantize, about["kind"])}


def device() -> dict[str, Any]:
    """The device that torch uses, with the peak of its memory in this process, in GiB."""
    import torch

    if not torch.cuda.is_available():
        return {"kind": "cpu", "threads": torch.get_num_threads()}
    properties = torch.cuda.get_device_properties(0)
    return {
        "kind": "cuda",
        "name": properties.name,
        "memory_gib": round(properties.total_memory / 2**30, 1),
        "peak_gib": round(torch.cuda.max_memory_reserved() / 2**30, 2),
        "cuda": torch.version.cuda,
    }
