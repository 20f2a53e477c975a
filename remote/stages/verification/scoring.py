"""Responses judged by their verifiers, and how often each type succeeds.

What only a critic can judge (`CRITIC`) is in the records with `correct` null, and in no table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .instruction import CRITIC, TYPES, Instruction
from .statistics import wilson

Record = dict[str, Any]


def score(instructions: Sequence[Instruction], responses: Sequence[str]) -> list[Record]:
    """{instruction, type, kind, response, correct, reasons} of each pair, in order."""
    return [_record(one, text) for one, text in zip(instructions, responses, strict=True)]


def _record(instruction: Instruction, response: str) -> Record:
    judged = instruction.kind != CRITIC
    reasons = list(instruction.reasons(response)) if judged else []
    return {
        "instruction": instruction.text,
        "type": instruction.type,
        "kind": instruction.kind,
        "response": response,
        "correct": not reasons if judged else None,
        "reasons": reasons,
    }


def table(records: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Success as {overall, types, kinds}, each cell {n, correct, rate, wilson_low, wilson_high}.

    Every type has its cell; one that was not measured has n 0 and nulls.
    """
    judged = [one for one in records if one["correct"] is not None]
    kinds = sorted({str(one["kind"]) for one in judged})
    return {
        "overall": _cell(judged),
        "types": {name: _cell(one for one in judged if one["type"] == name) for name in TYPES},
        "kinds": {name: _cell(one for one in judged if one["kind"] == name) for name in kinds},
    }


def _cell(records: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    verdicts = [bool(one["correct"]) for one in records]
    n, correct = len(verdicts), sum(verdicts)
    low, high = wilson(correct, n) if n else (None, None)
    return {
        "n": n,
        "correct": correct,
        "rate": correct / n if n else None,
        "wilson_low": low,
        "wilson_high": high,
    }
