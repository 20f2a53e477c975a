"""Chooses the next token of every row.

A sampled row draws with one number of its own a step, so what it says depends on neither the rows
beside it nor their order.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import torch

_TOP_K = 50  # what transformers takes where a model names none


@dataclass(frozen=True)
class Truncation:
    """How much of the distribution is sampled from."""

    top_k: int
    top_p: float

    @classmethod
    def of(cls, generation_config: Any, vocabulary: int) -> Truncation:
        """As the model's `generation_config` says; `top_k` 0 there means the whole vocabulary."""
        top_k = getattr(generation_config, "top_k", None)
        top_k = _TOP_K if top_k is None else int(top_k) or vocabulary
        return cls(min(top_k, vocabulary), float(getattr(generation_config, "top_p", None) or 1.0))


def uniforms(seed: int, count: int) -> list[float]:
    """The numbers that a row of `seed` draws with, one a step."""
    draw = random.Random(seed)  # noqa: S311 - not a secret
    return [draw.random() for _ in range(count)]


def choose(logits: Any, temperatures: Any, draws: Any, truncation: Truncation) -> Any:
    """The token of each row: the likeliest at temperature 0, else drawn with `draws`.

    Of equally likely tokens the one that `argmax` names first is taken.
    """
    greedy = logits.argmax(-1)
    kept, tokens = logits.float().topk(truncation.top_k, -1)
    shares = torch.softmax(kept / temperatures.clamp(min=1e-6)[:, None], -1)
    below = shares.cumsum(-1) - shares
    if truncation.top_p < 1:
        shares = shares.masked_fill(below > truncation.top_p, 0.0)
    reached = shares.cumsum(-1)
    place = (reached <= draws[:, None] * reached[:, -1:]).sum(-1).clamp(max=truncation.top_k - 1)
    drawn = tokens.gather(-1, place[:, None])[:, 0]
    return torch.where(temperatures > 0, drawn, greedy)
