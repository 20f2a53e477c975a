"""What answers that need no model would score: the least that an improvement has to beat.

`constants` gives every instruction of a kind the one answer that is right most often for the
training instructions of that kind. `keywords` writes the words that an instruction quotes in a
row, at a length that it allows.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from ..common.records import ResponseRecord
from ..verification.instruction import Instruction
from ..verification.scoring import judge, table

CANDIDATES = 8  # answers of a kind that are tried, the most frequent ones
TRIED_ON = 30  # training instructions of a kind
_QUOTED = re.compile(r'"([^"]+)"')
_FILLER = ["here", "it", "is", "now", "and", "then", "of", "the", "blue", "seven"]
_LENGTH = 8  # words


def constants(
    train: Sequence[Instruction], measured: Sequence[Instruction]
) -> list[ResponseRecord]:
    """The record of the best constant answer of its kind, for each of `measured`."""
    by_kind: dict[str, list[Instruction]] = {}
    for instruction in train:
        by_kind.setdefault(instruction.kind, []).append(instruction)
    best = {kind: _best(group) for kind, group in by_kind.items()}
    return [judge(instruction, best.get(instruction.kind, "")) for instruction in measured]


def trivial_answers(
    train: Sequence[Instruction], measured: Sequence[Instruction]
) -> dict[str, list[ResponseRecord]]:
    """The records of every way to answer without a model, by its name."""
    return {"constants": constants(train, measured), "keywords": keywords(measured)}


def trivial_tables(
    train: Sequence[Instruction], measured: Sequence[Instruction]
) -> dict[str, dict[str, Any]]:
    """What each of them scores: the least that a rate stands beside."""
    return {name: table(rows) for name, rows in trivial_answers(train, measured).items()}


def _best(group: Sequence[Instruction]) -> str:
    """The candidate that is right for most of `group`; the first one among equals."""
    counts = Counter(instruction.value for instruction in group)
    tried = group[:TRIED_ON]
    candidates = [answer for answer, _ in counts.most_common(CANDIDATES)]
    return max(
        candidates,
        key=lambda answer: sum(not instruction.reasons(answer) for instruction in tried),
        default="",
    )


def keywords(measured: Sequence[Instruction]) -> list[ResponseRecord]:
    """The record of a row of the words that each instruction quotes or ends on."""
    return [judge(instruction, _row(instruction.text)) for instruction in measured]


def _row(text: str) -> str:
    held = _QUOTED.findall(text) or re.findall(r"\w+", text)[-2:]
    words = [*held, *_FILLER][:_LENGTH]
    return f"{' '.join(words)}{'?' if 'question' in text else '.'}".capitalize()
