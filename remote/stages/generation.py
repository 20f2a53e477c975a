"""Batched generation from completion-style prompts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from .prompts import cut


def generate(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    *,
    max_new_tokens: int = 64,
    batch: int = 50,
    temperature: float = 0.0,
    seed: int = 0,
) -> list[str]:
    """One response for each prompt, in order, cut at the delimiter; greedy at temperature 0."""
    torch.manual_seed(seed)
    tokenizer.padding_side = "left"
    order = sorted(range(len(prompts)), key=lambda place: len(prompts[place]))
    answers = [""] * len(prompts)
    model.eval()
    for start in range(0, len(order), batch):
        places = order[start : start + batch]
        texts = _batch(model, tokenizer, [prompts[p] for p in places], max_new_tokens, temperature)
        for place, text in zip(places, texts, strict=True):
            answers[place] = cut(text)
    return answers


def _batch(
    model: Any, tokenizer: Any, prompts: list[str], max_new_tokens: int, temperature: float
) -> list[str]:
    inputs = tokenizer(prompts, return_tensors="pt", padding=True, add_special_tokens=False)
    inputs.pop("token_type_ids", None)
    sampling = {"temperature": temperature, "do_sample": True} if temperature else {}
    with torch.inference_mode():
        tokens = model.generate(
            **inputs.to(model.device),
            max_new_tokens=max_new_tokens,
            pad_token_id=tokenizer.pad_token_id,
            **({"do_sample": False} | sampling),
        )
    new = tokens[:, inputs["input_ids"].shape[1] :]
    return [str(text) for text in tokenizer.batch_decode(new, skip_special_tokens=True)]
