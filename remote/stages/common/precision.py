"""The precision in which the base model answers and is trained on: one for the whole plan.

The same weights in 4 bits and in 16 give other answers, so what is compared has to share it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .failure import StageError

NF4, BF16, FP32 = "nf4", "bf16", "fp32"
ALL = (NF4, BF16, FP32)
CUDA = "cuda"  # the kind of a device


def precision(quantize: str, device: str) -> str:
    """What `quantize`, auto, nf4 or none, comes to on a device of this kind."""
    if quantize == "nf4" or (quantize == "auto" and device == CUDA):
        return NF4
    return BF16 if device == CUDA else FP32


def recorded(document: Mapping[str, Any]) -> str | None:
    """The precision that a stage's document records, or that follows from what it records.

    None where it says neither: documents of earlier versions name quantize and device at most.
    """
    environment = document.get("environment")
    if not isinstance(environment, Mapping):
        return None
    if environment.get("precision") in ALL:
        return str(environment["precision"])
    given = document.get("settings", document.get("parameters"))
    device = environment.get("device")
    if not isinstance(given, Mapping) or not isinstance(device, Mapping):
        return None
    quantize, kind = given.get("quantize"), device.get("kind")
    known = isinstance(quantize, str) and isinstance(kind, str)
    return precision(str(quantize), str(kind)) if known else None


def check_same(path: Path, stage: str, own: str, running: str) -> str:
    """Compares the precision in the document of `stage` at `path` with `own`, of stage `running`.

    Returns a message where none is recorded. Raises: StageError for another one.
    """
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        document = None
    there = recorded(document) if isinstance(document, dict) else None
    if there is None:
        return f"{path} does not record in which precision {stage} ran; this stage runs in {own}"
    if there != own:
        quantize = NF4 if there == NF4 else "none"
        raise StageError(
            f"{path}: {stage} ran on the base in {there}, {running} would run in {own}",
            remedy=f'set quantize = "{quantize}" in [stages.{running}.parameters] (and take the '
            f"same kind of device), or podctl unlock {stage} --reason precision, and run it again",
        )
    return ""
