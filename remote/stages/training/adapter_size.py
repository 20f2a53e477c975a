"""How large an adapter is, and what its training takes of the GPU's memory."""

from __future__ import annotations

from typing import Any

import torch

from ..common.lora_parameters import targets_of
from ..model.engine.decoder import bare_model

BYTES = 16  # of a weight in fp32, its gradient and both moments of Adam
_WITHIN_RESERVE = 2 * 2**30  # what the memory plan's reserve holds for it already


def weights_of(model: Any, parameters: Any) -> int:
    """The weights that will be trained: those of the adapter that `model` has, else those of the
    one that `parameters` describe."""
    if hasattr(model, "peft_config"):
        return sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    targets = targets_of(parameters.lora_targets)
    head = bare_model(model).get_output_embeddings()
    return sum(
        parameters.lora_rank * (layer.in_features + layer.out_features)
        for name, layer in model.named_modules()
        if isinstance(layer, torch.nn.Linear)
        and (layer is not head if isinstance(targets, str) else _is_named(name, targets))
    )


def is_plain(parameters: Any) -> bool:
    """Whether the adapter that `parameters` describe is one low-rank product without dropout."""
    dora, dropout = (getattr(parameters, name, 0) for name in ("dora", "lora_dropout"))
    return not dora and not dropout


def _is_named(name: str, targets: list[str]) -> bool:
    return any(name == target or name.endswith(f".{target}") for target in targets)


def beyond_reserve(weights: int) -> int:
    """Bytes that an adapter takes beyond what the memory plan keeps back for one anyway."""
    return max(0, BYTES * weights - _WITHIN_RESERVE)
