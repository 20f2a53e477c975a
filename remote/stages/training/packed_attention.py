"""Attention of packed rows without a dense mask: FlashAttention inside torch, where it works.

With SDPA a packed row needs a mask of its length squared, and computes what the mask hides.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch.nn import functional

from ..model.engine.attention import flash

NAME = "podctl_packed"
_TOLERATED = 3e-2  # of bf16 on values around 1


def packed_attention(
    module: Any,
    query: Any,
    key: Any,
    value: Any,
    attention_mask: Any,
    dropout: float = 0.0,
    scaling: float | None = None,
    **more: Any,
) -> tuple[Any, None]:
    """As transformers calls it: [1, heads, tokens, width] of several sequences, one behind another.

    `cu_seq_lens_q` says where each begins, or `position_ids` do.
    """
    del module, attention_mask, dropout
    ends = more.get("cu_seq_lens_q")
    if ends is None:
        ends = ends_of(more["position_ids"])
    longest = more.get("max_length_q") or int(ends.diff().max())
    parts = [part.transpose(1, 2).squeeze(0).to(torch.bfloat16) for part in (query, key, value)]
    group = parts[0].shape[1] // parts[1].shape[1]
    key, value = (part.repeat_interleave(group, 1) for part in parts[1:])
    scale = scaling or query.shape[-1] ** -0.5
    ends = ends.to(query.device, torch.int32)
    seen = flash(parts[0], key, value, ends, ends, (longest, longest), scale, True)
    return seen.unsqueeze(0), None


def ends_of(position_ids: Any) -> Any:
    """Where sequences begin in a row of positions, and its end."""
    begins = (position_ids[0] == 0).nonzero().flatten()
    return torch.cat([begins, begins.new_tensor([position_ids.shape[1]])])


def register() -> None:
    """Tells transformers of the attention, which needs no mask."""
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    ALL_ATTENTION_FUNCTIONS.register(NAME, packed_attention)
    ALL_MASK_ATTENTION_FUNCTIONS.register(NAME, _no_mask)


def _no_mask(*_: Any, **__: Any) -> None:
    return None


@cache
def works() -> bool:
    """Whether torch's FlashAttention computes here what SDPA does, gradients included."""
    if not torch.cuda.is_available() or torch.cuda.get_device_capability() < (8, 0):
        return False
    return computes_as_dense("cuda")


def computes_as_dense(device: str) -> bool:
    """Tries it against SDPA: torch has it as no public function, and not in every version."""
    lengths = (5, 9)
    results: list[list[Any]] = []
    drawn = torch.randn(3, 1, 2, sum(lengths), 64, device=device, dtype=torch.bfloat16)
    for way in ("packed", "dense"):
        query, key, value = (part.clone().requires_grad_() for part in drawn)
        try:
            if way == "packed":
                ends = torch.tensor([0, 5, 14], device=device, dtype=torch.int32)
                seen, _ = packed_attention(None, query, key, value, None, cu_seq_lens_q=ends)
            else:
                heads = zip(*(part.split(lengths, 2) for part in (query, key, value)), strict=True)
                dense: Any = functional.scaled_dot_product_attention
                parts = [dense(*part, is_causal=True) for part in heads]
                seen = torch.cat(parts, 2).transpose(1, 2)
            seen.float().square().sum().backward()
        except (RuntimeError, TypeError, AttributeError, NotImplementedError):
            return False
        results.append([seen, query.grad, key.grad, value.grad])
    pairs = zip(*results, strict=True)
    return all(bool((a - b).abs().max() < _TOLERATED * b.abs().max()) for a, b in pairs)
