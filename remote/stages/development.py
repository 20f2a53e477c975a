"""Greedy success on the development set, verified; the answers are kept beside the figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .instruction import Instruction
from .parameters import TrainingParameters
from .prompts import bare
from .scoring import score, table
from .signals import StopRequest


def measure(
    model: Any,
    tokenizer: Any,
    instructions: Sequence[Instruction],
    parameters: TrainingParameters,
    stop: StopRequest,
) -> dict[str, Any] | None:
    """Success over all and by type with Wilson's intervals; None when asked to stop on the way."""
    from .generation import generate

    answers: list[str] = []
    for start in range(0, len(instructions), parameters.ask_batch):
        if stop.asked:
            return None
        answers += generate(
            model,
            tokenizer,
            [bare(one.text) for one in instructions[start : start + parameters.ask_batch]],
            max_new_tokens=parameters.max_new_tokens,
            batch=parameters.ask_batch,
        )
    records = score(instructions, answers)
    return {
        "schema": 1,
        "model": parameters.model,
        "instructions": parameters.instructions,
        "settings": {
            "prompt": "bare",
            "decoding": "greedy",
            "max_new_tokens": parameters.max_new_tokens,
        },
        **table(records),
        "responses": records,
    }
