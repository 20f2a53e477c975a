"""Measures verified greedy success on the development set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..common.metrics import MetricsLog
from ..common.parameters import TrainingParameters
from ..common.signals import StopRequest
from ..text.prompts import bare
from ..verification.instruction import Instruction
from ..verification.scoring import score, table

if TYPE_CHECKING:  # torch is heavy
    from ..model.sampling import Generated


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
    from ..model.sampling import Generation, Request

    requests = [Request(bare(instruction.text)) for instruction in instructions]
    generation = Generation(
        model,
        tokenizer,
        parameters.max_new_tokens,
        parameters.ask_batch,
        parameters.engine,
        log.message,
    )
    by_place: dict[int, Generated] = {}
    if not generation.run(requests, by_place.update, lambda: stop.asked):
        return None
    answers = [by_place[place].text for place in range(len(requests))]
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
