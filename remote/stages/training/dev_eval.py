"""Measures verified greedy success on the development set."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from ..common.metrics import MetricsLog
from ..common.oom_retry import with_halved_batches
from ..common.parameters import TrainingParameters
from ..common.signals import StopRequest
from ..text.prompts import bare
from ..verification.instruction import Instruction
from ..verification.scoring import score, table


def measure(
    model: Any,
    tokenizer: Any,
    instructions: Sequence[Instruction],
    parameters: TrainingParameters,
    log: MetricsLog,
    stop: StopRequest,
) -> dict[str, Any] | None:
    """Success overall and by type with Wilson's intervals, and the responses; None when stopped.

    Raises: StageError when a single prompt is out of memory.
    """
    from ..model.sampling import generate

    def ask(prompts: Sequence[str], batch: int) -> list[str]:
        bound = parameters.max_new_tokens
        return generate(model, tokenizer, prompts, max_new_tokens=bound, batch=batch)

    answers: list[str] = []
    for start in range(0, len(instructions), parameters.ask_batch):
        if stop.asked:
            return None
        prompts = [
            bare(instruction.text)
            for instruction in instructions[start : start + parameters.ask_batch]
        ]
        answers += with_halved_batches(partial(ask, prompts), len(prompts), log.message)
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
        "responses": [record.to_json() for record in records],
    }
