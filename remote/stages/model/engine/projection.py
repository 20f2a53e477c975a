"""One linear layer of a decoder with its LoRA adapter, as the engine computes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional


@dataclass(frozen=True)
class Projection:
    """`weight` is None where the layer dequantises its own at every use."""

    base: Any
    weight: Any
    bias: Any
    down: Any = None  # LoRA's A
    up: Any = None  # LoRA's B, scaled

    def __call__(self, rows: Any) -> Any:
        if self.weight is None:
            result = self.base(rows)
        else:
            result = functional.linear(rows, self.weight, self.bias)
        if self.down is None:
            return result
        return torch.addmm(result, rows @ self.down.t(), self.up.t())

    @property
    def outputs(self) -> int:
        return int(self.base.out_features)


def is_quantised(layer: Any) -> bool:
    return getattr(layer.weight, "quant_state", None) is not None


def base_of(layer: Any) -> Any | None:
    """The linear layer under an adapter, or `layer` itself; None for a kind that is not known."""
    if hasattr(layer, "base_layer"):
        if type(layer).__module__.partition(".lora")[1] != ".lora" or _is_special(layer):
            return None
        layer = layer.base_layer
    known = isinstance(layer, torch.nn.Linear) and type(layer).__name__ in ("Linear", "Linear4bit")
    return layer if known else None


def _is_special(layer: Any) -> bool:
    """Whether the adapter is more than one plain low-rank product."""
    names = _active(layer)
    return (
        len(names) > 1
        or bool(layer.merged)
        or any(bool(getattr(layer, "use_dora", {}).get(name)) for name in names)
        or any(bool(getattr(layer, "lora_bias", {}).get(name)) for name in names)
    )


def _active(layer: Any) -> list[str]:
    if layer.disable_adapters:
        return []
    return [name for name in layer.active_adapters if name in layer.lora_A]


def read(layer: Any, dtype: Any, *, dense: bool) -> Projection:
    """`layer` as a projection; with `dense` quantised weights are dequantised once, here."""
    base = base_of(layer)
    assert base is not None
    weight = None if is_quantised(base) else base.weight
    if weight is None and dense:
        from bitsandbytes.functional import dequantize_4bit

        weight = dequantize_4bit(base.weight.data, base.weight.quant_state).to(dtype)
    down = up = None
    if base is not layer and (names := _active(layer)):
        down = layer.lora_A[names[0]].weight.to(dtype)
        up = (layer.lora_B[names[0]].weight * layer.scaling[names[0]]).to(dtype)
    return Projection(base, weight, base.bias, down, up)


def joined(parts: Sequence[Projection]) -> Projection | None:
    """One projection with the outputs of `parts` beside each other.

    None where their weights are not copies already: joining would then need more memory.
    """
    if any(part.weight is None or not is_quantised(part.base) for part in parts):
        return None
    bias = None
    if any(part.bias is not None for part in parts):
        none = [torch.zeros(part.outputs).to(part.weight) for part in parts]
        bias = torch.cat([none[n] if p.bias is None else p.bias for n, p in enumerate(parts)])
    weight = torch.cat([part.weight for part in parts])
    adapted = [part for part in parts if part.down is not None]
    if not adapted:
        return Projection(parts[0].base, weight, bias)
    down = torch.cat([part.down for part in adapted])
    up = weight.new_zeros(len(weight), len(down))
    row = column = 0
    for part in parts:
        if part.down is not None:
            up[row : row + part.outputs, column : column + len(part.down)] = part.up
            column += len(part.down)
        row += part.outputs
    return Projection(parts[0].base, weight, bias, down, up)
