"""Memory of the GPU types that are rented, in GB as they are sold. Pure."""

from __future__ import annotations

import re

# The first name that is contained in an id or a short name counts.
MEMORY_GB = {
    "b300": 288, "b200": 180, "h200": 141, "h100nvl": 94, "h100": 80, "a100": 80,
    "rtxpro6000": 96, "rtx6000ada": 48, "rtx5000ada": 32, "rtx4000ada": 20, "rtx2000ada": 16,
    "l40s": 48, "l40": 48, "l4": 24, "a6000": 48, "a5000": 24, "a4500": 20, "a4000": 16,
    "a40": 48, "a30": 24, "5090": 32, "5080": 16, "4090": 24, "4080": 16, "3090": 24,
    "v100": 16, "mi300x": 192,
}  # fmt: skip


def memory_gb(name: str) -> int | None:
    """Of a GPU type by its id or short name; None for an unknown one.

    A type that is sold in several sizes counts with the smallest.
    """
    key = re.sub(r"[^a-z0-9]", "", name.lower())
    return next((memory for known, memory in MEMORY_GB.items() if known in key), None)
