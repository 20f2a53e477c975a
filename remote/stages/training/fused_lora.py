"""LoRA layers that keep less for the backward pass and launch fewer kernels.

peft computes a LoRA layer with a cast, two products and an addition, each of which keeps its input.
Here the additions are inside the products, and only the layer's input and the two narrow products
are kept; of an MLP the gate and the up projection too, from which the activation is computed again.
The results are those of peft up to the rounding of bf16.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import MethodType
from typing import Any

import torch
from torch.nn import functional

from ..model.engine.projection import base_of, is_quantised
from . import liger_kernels


@dataclass(frozen=True)
class Frozen:
    """What of a LoRA layer is not trained."""

    base: Any
    scale: float

    def weight(self) -> Any:
        if not is_quantised(self.base):
            return self.base.weight
        from bitsandbytes.functional import dequantize_4bit

        return dequantize_4bit(self.base.weight.data, self.base.weight.quant_state)


def _forward(rows: Any, frozen: Frozen, down: Any, up: Any) -> tuple[Any, Any]:
    """The layer's output, and the narrow product that the backward pass needs."""
    result = functional.linear(rows, frozen.weight(), frozen.base.bias)
    narrow = rows @ down.t()
    return result.addmm_(narrow, up.t(), alpha=frozen.scale), narrow


def _backward(
    gradient: Any, rows: Any, narrow: Any, frozen: Frozen, adapter: Sequence[Any], before: Any
) -> tuple[Any, Any, Any]:
    """Gradients of input (added to `before`), A and B."""
    down, up = adapter
    of_narrow = (gradient @ up).mul_(frozen.scale)
    weight = frozen.weight()
    of_rows = gradient @ weight if before is None else before.addmm_(gradient, weight)
    of_rows.addmm_(of_narrow, down)
    of_up = (gradient.t() @ narrow).mul_(frozen.scale)
    return of_rows, (of_narrow.t() @ rows).float(), of_up.float()


class _Linears(torch.autograd.Function):
    """LoRA layers with one input; adapters follow as A, B, A, B."""

    @staticmethod
    def forward(ctx: Any, inputs: Any, frozen: Sequence[Frozen], *adapters: Any) -> Any:
        rows = inputs.reshape(-1, inputs.shape[-1])
        adapters = tuple(weight.to(rows.dtype) for weight in adapters)
        results, narrows = [], []
        for part, down, up in zip(frozen, adapters[::2], adapters[1::2], strict=True):
            result, narrow = _forward(rows, part, down, up)
            results.append(result.view(*inputs.shape[:-1], -1))
            narrows.append(narrow)
        ctx.save_for_backward(rows, *narrows, *adapters)
        ctx.frozen, ctx.shape = frozen, inputs.shape
        return tuple(results)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        count = len(ctx.frozen)
        rows, *saved = ctx.saved_tensors
        narrows, adapters = saved[:count], saved[count:]
        of_rows: Any = None
        of_adapters = []
        for number, part in enumerate(ctx.frozen):
            gradient = gradients[number].reshape(len(rows), -1)
            adapter = adapters[2 * number : 2 * number + 2]
            of_rows, *both = _backward(gradient, rows, narrows[number], part, adapter, of_rows)
            of_adapters += both
        return (of_rows.view(ctx.shape), None, *of_adapters)


class _GatedMlp(torch.autograd.Function):
    """down(silu(gate(x)) * up(x)); three LoRA layers in that order: gate, up, down."""

    @staticmethod
    def forward(ctx: Any, inputs: Any, frozen: Sequence[Frozen], *adapters: Any) -> Any:
        rows = inputs.reshape(-1, inputs.shape[-1])
        adapters = tuple(weight.to(rows.dtype) for weight in adapters)
        gate, narrow_gate = _forward(rows, frozen[0], *adapters[:2])
        up, narrow_up = _forward(rows, frozen[1], *adapters[2:4])
        result, narrow = _forward(_active(gate, up), frozen[2], *adapters[4:])
        ctx.save_for_backward(rows, gate, up, narrow_gate, narrow_up, narrow, *adapters)
        ctx.frozen, ctx.shape = frozen, inputs.shape
        return result.view(inputs.shape)

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        rows, gate, up, narrow_gate, narrow_up, narrow, *adapters = ctx.saved_tensors
        first, second, third = ctx.frozen
        gradient = gradient.reshape(len(rows), -1)
        active = _active(gate, up)
        of_active, *of_third = _backward(gradient, active, narrow, third, adapters[4:], None)
        del active
        of_gate, of_up = _active_backward(gate, up, of_active)
        del of_active
        of_rows, *of_first = _backward(of_gate, rows, narrow_gate, first, adapters[:2], None)
        del of_gate
        of_rows, *of_second = _backward(of_up, rows, narrow_up, second, adapters[2:4], of_rows)
        return (of_rows.view(ctx.shape), None, *of_first, *of_second, *of_third)


def _liger() -> Any:
    """Liger's kernels of the activation; None where they are not installed or cannot run."""
    if liger_kernels.why_not() is not None:
        return None
    from liger_kernel.ops import swiglu  # type: ignore[import-not-found]  # optional

    return swiglu


def _active(gate: Any, up: Any) -> Any:
    kernels = _liger()
    return functional.silu(gate) * up if kernels is None else kernels.swiglu_forward(gate, up)[-1]


def _active_backward(gate: Any, up: Any, gradient: Any) -> tuple[Any, Any]:
    kernels = _liger()
    if kernels is not None:  # it writes over its arguments, which are not needed again
        of_gate, of_up = kernels.swiglu_backward(gate, up, gradient)
        return of_gate, of_up
    share = torch.sigmoid(gate)
    of_up = gradient * gate * share
    return gradient * up * (share * (1 + gate * (1 - share))), of_up


def can_fuse(model: Any) -> bool:
    """Whether every LoRA layer of `model` is one plain low-rank product without dropout."""
    return all(
        base_of(layer) is not None
        and len(layer.active_adapters) == 1
        and isinstance(layer.lora_dropout[layer.active_adapters[0]], torch.nn.Identity)
        for layer in lora_layers(model)
    )


def lora_layers(model: Any) -> Iterator[Any]:
    return (layer for layer in model.modules() if hasattr(layer, "lora_A"))


def fuse(model: Any) -> list[Any]:
    """Has the LoRA layers and gated MLPs of `model` computed here; returns the changed modules."""
    changed = []
    for module in model.modules():
        if hasattr(module, "lora_A"):
            module.forward = MethodType(_linear, module)
        elif all(hasattr(getattr(module, name, None), "lora_A") for name in _GATED) and (
            module.config.hidden_act == "silu"
        ):
            module.forward = MethodType(_mlp, module)
        else:
            continue
        changed.append(module)
    return changed


_GATED = ("gate_proj", "up_proj", "down_proj")


def _parts(layer: Any) -> tuple[Frozen, Any, Any]:
    name = layer.active_adapters[0]
    frozen = Frozen(layer.get_base_layer(), layer.scaling[name])
    return frozen, layer.lora_A[name].weight, layer.lora_B[name].weight


def _cast(layer: Any, inputs: Any) -> Any:
    """In the precision of the frozen weights."""
    base = layer.get_base_layer()
    dtype = base.weight.quant_state.dtype if is_quantised(base) else base.weight.dtype
    return inputs.to(dtype)


def _linear(layer: Any, inputs: Any, *_: Any, **__: Any) -> Any:
    frozen, down, up = _parts(layer)
    compute: Any = _Linears.apply
    return compute(_cast(layer, inputs), (frozen,), down, up)[0]


def _mlp(module: Any, inputs: Any) -> Any:
    parts = [_parts(getattr(module, name)) for name in _GATED]
    adapters = [weight for _, *both in parts for weight in both]
    inputs = _cast(module.gate_proj, inputs)
    compute: Any = _GatedMlp.apply
    return compute(inputs, tuple(part[0] for part in parts), *adapters)
