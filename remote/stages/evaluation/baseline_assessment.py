"""What stage 1A says of the base model: tables, the explicit instructions, explanations apart."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ..common.failure import StageError
from ..common.oom_retry import fitting
from ..model import base_model_check as sentinels
from ..verification.instruction import TYPES, Instruction
from ..verification.scoring import Record, table

WAYS = ("raw", "few_shot")


def spread(held_out: Sequence[Instruction], count: int, seed: int) -> list[str]:
    """The texts of `count` held-out instructions, the types taking turns."""
    draw = random.Random(seed)  # noqa: S311 - not a secret
    by_type = {name: [one.text for one in held_out if one.type == name] for name in TYPES}
    for texts in by_type.values():
        draw.shuffle(texts)
    longest = max(map(len, by_type.values()))
    turns = [
        text for n in range(longest) for texts in by_type.values() for text in texts[n : n + 1]
    ]
    return turns[:count]


def assess(rows: Sequence[Record], tolerated: int, results: list[dict[str, Any]]) -> dict[str, Any]:
    """The assessment of judged rows and sentinel results, each verdict with its rule."""
    explicit = [row for row in rows if row["explicit"]]
    tables = {name: _tables(part) for name, part in (("explicit", explicit), ("held_out", rows))}
    counts = {name: tables["explicit"]["raw"]["types"][name]["n"] for name in TYPES}
    return {
        "schema": 1,
        **tables,
        "types_reported": {
            "every_type": all(counts.values()),
            "rule": "each of the four types has at least one explicit instruction",
            "instructions": counts,
        },
        "sentinels": sentinels.behaves(results, tolerated) | {"results": results},
    }


def _tables(rows: Sequence[Record]) -> dict[str, Any]:
    """For each way the table of success."""
    return {
        way: table({"type": row["type"], "kind": row["kind"]} | row[way] for row in rows)
        for way in WAYS
    }


def criticised(
    model: Any,
    tokenizer: Any,
    pool: Sequence[Instruction],
    rows: Sequence[Record],
    batch: int,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """What the critic makes of the rows that no rule can judge; counted in no success.

    Each row gets a `margin` for each way; {n, raw, few_shot} says how many the critic prefers.
    """
    from ..model.critic import margins

    found: dict[str, Any] = {"n": len(rows), "counted_as_success": False}
    if not rows:
        return found
    for way in WAYS:
        pairs = [(row["instruction"], row[way]["response"]) for row in rows]
        try:
            judged = fitting(partial(margins, model, tokenizer, pool, pairs), batch, say)
        except StageError as error:  # no such letters, or memory for them: said, not fatal
            return found | {"critic": error.what}
        for row, margin in zip(rows, judged, strict=True):
            row[way]["margin"] = margin.mean
        found[way] = {"preferred": sum(one.mean > 0 for one in judged)}
    return found


def summary(assessment: dict[str, Any]) -> str:
    """The result in a line."""
    cells = {way: assessment["explicit"][way]["overall"] for way in WAYS}
    words = [
        f"{way.replace('_', '-')} {cell['correct']}/{cell['n']} "
        f"({cell['wilson_low']:.0%} to {cell['wilson_high']:.0%})"
        for way, cell in cells.items()
    ]
    as_base = assessment["sentinels"]["as_base_model"]
    return f"{', '.join(words)}; sentinels {'as' if as_base else 'NOT as'} of a base model"
