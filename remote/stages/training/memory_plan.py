"""How many rows a training takes at once, and what it recomputes: by the memory that is free.

The rows of one optimiser step stay as they are, so the losses do too: only how they are spread over
batches changes. The figures below were measured on one H200 (docs/gpu.md).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from ..common.parameters import TrainingParameters

# The speed of recomputing a share of the layers, as a share of recomputing none. Measured for 1,
# 0.5 and 0; the others lie between.
SPEED = {1.0: 0.70, 0.75: 0.765, 0.5: 0.83, 0.25: 0.91, 0.0: 1.0}
_OVERHEAD = 700  # tokens that would be computed in the time that a batch costs whatever its size
_RESERVE = 5 * 2**30  # optimiser, one layer's weights, the loss, fragmentation


@dataclass(frozen=True)
class MemoryPlan:
    """`recomputed` is the share of the layers whose activations are computed again."""

    batch: int
    accumulation: int
    recomputed: float
    needs_gib: float
    free_gib: float

    def applied(self, parameters: Any) -> Any:
        return dataclasses.replace(parameters, batch=self.batch, accumulation=self.accumulation)


def layer_bytes(config: Any, *, fused: bool, lean: bool) -> int:
    """What one layer keeps of a token for the backward pass, in bf16.

    `fused`: by the fused LoRA layers; `lean`: with norms and rotations that keep their input only.
    """
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    key_values = config.num_key_value_heads * width
    hidden, inner = config.hidden_size, config.intermediate_size
    if fused and lean:
        return int(2 * (7 * hidden + 3 * key_values + 2 * inner))
    if fused or lean:
        return int(2 * (9 * hidden + 3 * key_values + 3 * inner))
    return int(2 * (14 * hidden + 4 * key_values + 6 * inner))


def needed(tokens: int, recomputed: float, layers: int, layer: int, hidden: int) -> int:
    """Bytes of activations for a batch of `tokens`."""
    kept = (1 - recomputed) * layers * layer + recomputed * layers * 2 * hidden
    return int(tokens * (kept + 2 * layer))


def choose(
    parameters: TrainingParameters, row_tokens: int, config: Any, layer: int, free: int
) -> MemoryPlan:
    """The fastest plan that fits into `free` bytes; the smallest one where none does."""
    rows = parameters.batch * parameters.accumulation
    plans = []
    for batch in (size for size in range(1, rows + 1) if rows % size == 0):
        for recomputed, speed in SPEED.items():
            tokens = batch * row_tokens
            size = needed(tokens, recomputed, config.num_hidden_layers, layer, config.hidden_size)
            rate = speed * tokens / (tokens + _OVERHEAD)
            plan = MemoryPlan(
                batch, rows // batch, recomputed, round(size / 2**30, 1), round(free / 2**30, 1)
            )
            plans.append(
                (size + _RESERVE <= free, rate if size + _RESERVE <= free else -size, plan)
            )
    return max(plans, key=lambda plan: plan[:2])[2]
