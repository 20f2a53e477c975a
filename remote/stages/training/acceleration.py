"""What makes a training fast on a GPU, switched on for one training and off again.

Attention of packed rows without a mask, fused LoRA layers, lean norms and rotations, and no more
recomputation than memory asks for. `engine = "plain"` leaves all of it out.
"""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass, field
from types import MethodType
from typing import Any

import torch
from transformers import TrainerCallback

from ..common.oom_retry import free_gpu_memory
from ..common.parameters import TrainingParameters
from ..model.engine.cache import free_bytes
from ..model.engine.decoder import FAMILIES, bare_model, longest_window
from . import fused_lora, liger_kernels, packed_attention
from .adapter_size import beyond_reserve, is_plain, weights_of
from .memory_plan import MemoryPlan, choose, layer_bytes

# ruff: noqa: ARG002 - the methods of a TrainerCallback have the arguments that the trainer passes


@dataclass
class Acceleration:
    """What one training uses; `why` says why not more, for its record."""

    plan: MemoryPlan | None = None
    packed_attention: bool = False
    fused_lora: bool = False
    liger: bool = False
    why: str = ""
    _undo: list[Any] = field(default_factory=list, repr=False)

    def to_json(self) -> dict[str, Any]:
        """For hyperparameters.json."""
        plan = dataclasses.asdict(self.plan) if self.plan else None
        return {
            "plan": plan,
            "packed_attention": self.packed_attention,
            "fused_lora": self.fused_lora,
            "liger": self.liger,
            "why": self.why,
        }

    def apply(self, model: Any) -> None:
        """Changes the adapted `model` for its training. To be undone before it answers."""
        base = bare_model(model)
        if self.fused_lora:
            if fused_lora.can_fuse(model):
                self._undo += [(module, "forward") for module in fused_lora.fuse(model)]
            else:
                self.fused_lora, self.why = False, "the adapter is no plain LoRA without dropout"
        if self.liger:
            self._lean(base)
        if self.packed_attention:
            packed_attention.register()
            self._undo.append((base.config, base.config._attn_implementation))
            base.config._attn_implementation = packed_attention.NAME

    def undo(self) -> None:
        """Has `model` computed by its own code again."""
        for target, name in self._undo:
            if isinstance(target, torch.nn.Module):
                vars(target).pop(name, None)
            elif hasattr(target, "_attn_implementation"):
                target._attn_implementation = name
            else:
                target.apply_rotary_pos_emb = name
        self._undo.clear()

    def _lean(self, base: Any) -> None:
        from liger_kernel.transformers.rope import (  # type: ignore[import-not-found]  # optional
            liger_rotary_pos_emb,
        )

        family: Any = sys.modules[type(base.model.layers[0]).__module__]
        self._undo.append((family, family.apply_rotary_pos_emb))
        family.apply_rotary_pos_emb = liger_rotary_pos_emb
        for module in base.modules():
            if type(module).__name__.endswith("RMSNorm"):
                module.forward = MethodType(_norm, module)
                self._undo.append((module, "forward"))


def _norm(module: Any, inputs: Any) -> Any:
    from liger_kernel.ops.rms_norm import (  # type: ignore[import-not-found]  # optional
        LigerRMSNormFunction,
    )

    return LigerRMSNormFunction.apply(
        inputs, module.weight, module.variance_epsilon, 0.0, "llama", False
    )


def accelerate(
    model: Any, parameters: TrainingParameters, row_tokens: int, *, packed: bool
) -> Acceleration:
    """What to use for `model`, which is loaded; rows have `row_tokens` tokens in memory."""
    if parameters.engine == "plain" or not torch.cuda.is_available():
        asked = parameters.engine == "plain"
        return Acceleration(why='engine = "plain"' if asked else "there is no CUDA device")
    config = bare_model(model).config
    if config.model_type not in FAMILIES:
        return Acceleration(why=f"model type {config.model_type} is not known")
    missing = liger_kernels.why_not()
    liger = missing is None
    free_gpu_memory()
    fused = fused_lora.can_fuse(model) and is_plain(parameters)
    layer = layer_bytes(config, fused=fused, lean=liger)
    free = (free_bytes() or 0) - beyond_reserve(weights_of(model, parameters))
    plan = choose(parameters, row_tokens, config, layer, free)
    return Acceleration(
        plan,
        packed_attention=packed and _sees_all(model, row_tokens) and packed_attention.works(),
        fused_lora=fused,
        liger=liger,
        why="; ".join(filter(None, ("by free memory", missing))),
    )


def _sees_all(model: Any, row_tokens: int) -> bool:
    """Whether no attention window is shorter than a row."""
    window = longest_window(model)
    return window is None or row_tokens <= window


class PartialRecomputation(TrainerCallback):
    """Recomputes only a share of the layers, spread evenly; the trainer switches all on."""

    def __init__(self, share: float) -> None:
        self._share = share

    def on_train_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        for number, layer in enumerate(bare_model(more["model"]).model.layers):
            crossed = int((number + 1) * self._share) > int(number * self._share)
            layer.gradient_checkpointing = crossed
