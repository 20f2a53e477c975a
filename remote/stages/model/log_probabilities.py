"""The mean log-probability of a token of a response after an instruction, in batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..text.prompt_style import style_of
from ..text.prompts import bare, completion


def log_probabilities(
    model: Any, tokenizer: Any, pairs: Sequence[tuple[str, str]], batch: int
) -> list[float]:
    """Of each (instruction, response), in nats; -inf for a response without a token."""
    model.eval()
    rows = [_tokens(tokenizer, *pair) for pair in pairs]
    order = sorted(range(len(rows)), key=lambda place: len(rows[place][0]))
    means = [float("-inf")] * len(rows)
    for start in range(0, len(order), batch):
        places = [place for place in order[start : start + batch] if _has_response(rows[place])]
        if places:
            values = _means(model, [rows[place] for place in places])
            for place, value in zip(places, values, strict=True):
                means[place] = value
    return means


Row = tuple[list[int], int]  # the tokens, and how many of them are the prompt's


def _tokens(tokenizer: Any, instruction: str, response: str) -> Row:
    prompt = style_of(tokenizer).prompt(bare(instruction))
    said = tokenizer(completion(response), add_special_tokens=False)["input_ids"]
    return [*prompt, *(said if response.strip() else [])], len(prompt)


def _has_response(row: Row) -> bool:
    return len(row[0]) > row[1] > 0


def _means(model: Any, rows: Sequence[Row]) -> list[float]:
    """Padded on the right: causal attention never sees the padding."""
    import torch

    longest = max(len(tokens) for tokens, _ in rows)
    ids = torch.zeros((len(rows), longest), dtype=torch.long)
    mask = torch.zeros((len(rows), longest), dtype=torch.long)
    learned = torch.zeros((len(rows), longest), dtype=torch.bool)
    for number, (tokens, prompt) in enumerate(rows):
        ids[number, : len(tokens)] = torch.tensor(tokens)
        mask[number, : len(tokens)] = 1
        learned[number, prompt : len(tokens)] = True
    ids, mask, learned = (tensor.to(model.device) for tensor in (ids, mask, learned))
    with torch.inference_mode():
        logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1].float()
    targets = ids[:, 1:].unsqueeze(-1)
    logs = torch.log_softmax(logits, dim=-1).gather(-1, targets).squeeze(-1)
    chosen = learned[:, 1:]
    totals = (logs * chosen).sum(dim=1) / chosen.sum(dim=1)
    return [float(value) for value in totals.tolist()]
