"""Safetensors files of given tensors, for tests."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path

Tensors = Mapping[str, tuple[str, list[int], bytes]]  # name → dtype, shape, bytes


def write_safetensors(path: Path, tensors: Tensors) -> Path:
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, (dtype, shape, raw) in tensors.items():
        offsets = [len(data), len(data) + len(raw)]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": offsets}
        data += raw
    text = json.dumps(header).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def f32(*values: float) -> tuple[str, list[int], bytes]:
    return "F32", [len(values)], struct.pack(f"<{len(values)}f", *values)


def adapter(path: Path, a: tuple[float, ...] = (1, 2), b: tuple[float, ...] = (3, 4)) -> Path:
    """An adapter of one module."""
    return write_safetensors(path, {"q.lora_A.weight": f32(*a), "q.lora_B.weight": f32(*b)})
