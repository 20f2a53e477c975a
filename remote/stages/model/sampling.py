"""Generates from completion-style prompts in batches; each row stops at its own end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import StoppingCriteria, StoppingCriteriaList

from ..text.prompts import cut, delimited
from .stop_reasons import CUT_OFF, DELIMITED, ENDED

_WINDOW = 12  # newest tokens in which a delimiter can have become whole; it has 5 characters


@dataclass(frozen=True)
class Generated:
    """One response, cut at the delimiter. `finished` says what ended it."""

    text: str
    finished: str  # DELIMITED, ENDED, or CUT_OFF at max_new_tokens
    tokens: int  # generated, the end included


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
    responses = generate_finished(
        model,
        tokenizer,
        prompts,
        max_new_tokens=max_new_tokens,
        batch=batch,
        temperature=temperature,
        seed=seed,
    )
    return [response.text for response in responses]


def generate_finished(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    *,
    max_new_tokens: int = 64,
    batch: int = 50,
    temperature: float = 0.0,
    seed: int = 0,
) -> list[Generated]:
    """Like `generate`, and returns what ended each response. `seed` seeds torch's generator."""
    torch.manual_seed(seed)
    tokenizer.padding_side = "left"
    order = sorted(range(len(prompts)), key=lambda place: len(prompts[place]))
    by_place: dict[int, Generated] = {}
    model.eval()
    for start in range(0, len(order), batch):
        places = order[start : start + batch]
        rows = _batch(model, tokenizer, [prompts[p] for p in places], max_new_tokens, temperature)
        by_place |= zip(places, rows, strict=True)
    return [by_place[place] for place in range(len(prompts))]


def _batch(
    model: Any, tokenizer: Any, prompts: list[str], max_new_tokens: int, temperature: float
) -> list[Generated]:
    inputs = tokenizer(prompts, return_tensors="pt", padding=True, add_special_tokens=False)
    inputs.pop("token_type_ids", None)
    width = inputs["input_ids"].shape[1]
    ends = _End(tokenizer, width, len(prompts))
    sampling = {"temperature": temperature, "do_sample": True} if temperature else {}
    with torch.inference_mode():
        tokens = model.generate(
            **inputs.to(model.device),
            max_new_tokens=max_new_tokens,
            pad_token_id=tokenizer.pad_token_id,
            use_cache=True,  # a model that was loaded for training has it off
            stopping_criteria=StoppingCriteriaList([ends]),
            **({"do_sample": False} | sampling),
        )
    over = _ends_of_text(model, tokenizer)
    return [
        _generated(tokenizer, row, end, over)
        for row, end in zip(tokens[:, width:].tolist(), ends.at, strict=True)
    ]


def _generated(tokenizer: Any, row: list[int], end: int | None, over: set[int]) -> Generated:
    """The response in `row`; `end` is the number of tokens up to its delimiter, or None."""
    ended = next((place + 1 for place, token in enumerate(row) if token in over), None)
    length = min(count for count in (end, ended, len(row)) if count is not None)
    text = cut(tokenizer.decode(row[:length], skip_special_tokens=True))
    if end == length:
        return Generated(text, DELIMITED, length)
    return Generated(text, CUT_OFF if ended is None else ENDED, length)


def _ends_of_text(model: Any, tokenizer: Any) -> set[int]:
    named = model.generation_config.eos_token_id
    more = named if isinstance(named, list) else [named]
    return {token for token in (tokenizer.eos_token_id, *more) if token is not None}


class _End(StoppingCriteria):
    """Stops each row at a complete delimiter; `at` has the number of tokens up to it, by row."""

    def __init__(self, tokenizer: Any, width: int, rows: int) -> None:
        self._tokenizer, self._width = tokenizer, width
        self.at: list[int | None] = [None] * rows

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        del scores
        length = input_ids.shape[1] - self._width
        # The prompt's last token is its line break, which may begin a delimiter.
        newest = input_ids[:, -min(_WINDOW, length + 1) :].tolist()
        for place, tokens in enumerate(newest):
            if self.at[place] is None and delimited(self._tokenizer.decode(tokens)):
                self.at[place] = length
        done = [count is not None for count in self.at]
        return torch.tensor(done, device=input_ids.device)
