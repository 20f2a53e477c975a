"""Summarises a run's usage samples; standard library only. Both sides use it.

A sample is a line of samples.jsonl. Nothing in it is trusted: what is no number is left out.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

MAX_SAMPLES = 100_000  # lines that are looked at
POINTS = 120  # of the series that is kept
MAX_VALUE = 1e12


def summarise(raw: bytes) -> dict[str, Any] | None:
    """Means, maxima and a thinned series of one run's samples; None without a usable one.

    Percent are of all processors, or the mean over the GPUs; memory is in GB, GPU memory the sum.
    """
    samples = [
        sample for sample in map(_sample, raw.splitlines()[:MAX_SAMPLES]) if sample is not None
    ]
    if not samples:
        return None
    began = samples[0]["time"]
    return {
        "samples": len(samples),
        "seconds": round(max(0.0, samples[-1]["time"] - began), 1),
        "cpu_percent": _spread([sample["cpu"] for sample in samples]),
        "memory_gb": _spread([sample["memory"] for sample in samples]),
        "gpu_percent": _spread([sample["gpu"] for sample in samples]),
        "gpu_memory_gb": _spread([sample["gpu_memory"] for sample in samples]),
        "series": [
            {
                "seconds": round(sample["time"] - began, 1),
                "cpu_percent": sample["cpu"],
                "gpu_percent": sample["gpu"],
            }
            for sample in thinned(samples, POINTS)
        ],
    }


def thinned(values: Sequence[Any], most: int) -> list[Any]:
    """At most `most` of the values at equal distances, the first and the last among them."""
    if len(values) <= most:
        return list(values)
    return [values[round(n * (len(values) - 1) / (most - 1))] for n in range(most)]


def _sample(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    time = _number(value.get("time")) if isinstance(value, dict) else None
    if time is None:
        return None
    gpus = value.get("gpus")
    every = [gpu for gpu in gpus[:64] if isinstance(gpu, dict)] if isinstance(gpus, list) else []
    percent = [n for n in (_number(gpu.get("percent")) for gpu in every) if n is not None]
    memory = [n for n in (_number(gpu.get("memory_gb")) for gpu in every) if n is not None]
    return {
        "time": time,
        "cpu": _number(value.get("cpu_percent")),
        "memory": _number(value.get("memory_gb")),
        "gpu": sum(percent) / len(percent) if percent else None,
        "gpu_memory": sum(memory) if memory else None,
    }


def _number(value: Any) -> float | None:
    """A finite number of a sensible size, from 0 up."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= MAX_VALUE else None  # NaN compares False


def _spread(values: Sequence[float | None]) -> dict[str, float] | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    return {"mean": round(sum(known) / len(known), 2), "max": round(max(known), 2)}
