"""Which lines of a training file are, exactly or nearly, what the model is measured on."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .answers import write
from .data import Pair
from .instruction_sets import InstructionSet
from .near import THRESHOLD, near_duplicates, normalised

PARTS = ("held_out", "development")
NAMED = 20  # lines in the summary


def disjoint(pairs: Sequence[Pair], chosen: InstructionSet, data: str, out: Path) -> bool:
    """Whether `data` holds nothing that is measured on; the answer is in `out`/disjointness.json.

    The lines that do are said on stderr: to train on them would cost money for a sure FAIL.
    """
    found = overlap(pairs, chosen)
    write(out / "disjointness.json", json.dumps(found, indent=1) + "\n")
    if not found["disjoint"]:
        sys.stderr.write(
            f"{data}, {found['overlap']}: held-out or development instructions of "
            f"{chosen.name!r}\nnothing was trained: remove these lines, or make the data again "
            "with stage1b\n"
        )
    return bool(found["disjoint"])


def overlap(pairs: Sequence[Pair], chosen: InstructionSet) -> dict[str, Any]:
    """{disjoint, overlap, rule, checked, against, lines}; `overlap` is "none" or names the lines.

    Every line of text in a prompt counts: a held-out instruction among few-shot examples is
    learned from as well.
    """
    texts = [(pair.line, text) for pair in pairs for text in pair.prompt.splitlines() if text]
    lines = [one for part in PARTS for one in _lines(texts, part, chosen)]
    lines.sort(key=lambda one: int(one["line"]))
    return {
        "schema": 1,
        "disjoint": not lines,
        "overlap": _summary(lines),
        "rule": (
            "no line of the training data is in the held-out or development part of the "
            f"instruction set, exactly (case and punctuation aside) or nearly (Jaccard similarity "
            f"of character 5-grams of {THRESHOLD:g} or more)"
        ),
        "checked": len(pairs),
        "against": {part: len(getattr(chosen, part)) for part in PARTS},
        "instructions": chosen.name,
        "lines": lines,
    }


def _lines(
    texts: Sequence[tuple[int, str]], part: str, chosen: InstructionSet
) -> list[dict[str, Any]]:
    protected = [one.text for one in getattr(chosen, part)]
    return [
        {
            "line": texts[near.candidate][0],
            "text": texts[near.candidate][1],
            "part": part,
            "of_that_part": protected[near.other],
            "similarity": round(near.similarity, 3),
            "exact": normalised(texts[near.candidate][1]) == normalised(protected[near.other]),
        }
        for near in near_duplicates([text for _, text in texts], protected)
    ]


def _summary(lines: Sequence[dict[str, Any]]) -> str:
    numbers = sorted({int(one["line"]) for one in lines})
    if not numbers:
        return "none"
    more = f" and {len(numbers) - NAMED} more" if len(numbers) > NAMED else ""
    return f"lines {', '.join(map(str, numbers[:NAMED]))}{more}"
