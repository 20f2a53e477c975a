"""Judges responses by their verifiers, and counts the success of each type.

What only a critic can judge (`CRITIC`) is in the records with `correct` null, and in no table.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..common.records import ResponseRecord
from .instruction import CRITIC, TYPES, Instruction
from .statistics import wilson


def score(instructions: Sequence[Instruction], responses: Sequence[str]) -> list[ResponseRecord]:
    """The verdict on each response to the instruction at the same place, in order."""
    pairs = zip(instructions, responses, strict=True)
    return [judge(instruction, response) for instruction, response in pairs]


def judge(instruction: Instruction, response: str, prompt: str | None = None) -> ResponseRecord:
    """The record of `response`, judged by the verifier of `instruction`."""
    judged = instruction.kind != CRITIC
    reasons = instruction.reasons(response) if judged else ()
    return ResponseRecord(
        instruction.text,
        instruction.type,
        instruction.kind,
        response,
        correct=not reasons if judged else None,
        reasons=reasons,
        prompt=prompt,
        form_only=instruction.form_only,
    )


def table(records: Iterable[ResponseRecord]) -> dict[str, Any]:
    """Success as {overall, form_only, types, kinds}, each cell {n, correct, rate, wilson_low,
    wilson_high}.

    `overall` and the types count facts and forms. Free text, whose form alone a rule can see, is
    in `form_only` and in its kinds. Every type has its cell; one that was not measured has n 0
    and nulls.
    """
    every = [record for record in records if record.correct is not None]
    judged = [record for record in every if not record.form_only]
    kinds = sorted({record.kind for record in every})
    return {
        "overall": _cell(judged),
        "form_only": _cell(record for record in every if record.form_only),
        "types": {
            name: _cell(record for record in judged if record.type == name) for name in TYPES
        },
        "kinds": {name: _cell(record for record in every if record.kind == name) for name in kinds},
    }


def _cell(records: Iterable[ResponseRecord]) -> dict[str, Any]:
    verdicts = [bool(record.correct) for record in records]
    n, correct = len(verdicts), sum(verdicts)
    low, high = wilson(correct, n) if n else (None, None)
    return {
        "n": n,
        "correct": correct,
        "rate": correct / n if n else None,
        "wilson_low": low,
        "wilson_high": high,
    }
