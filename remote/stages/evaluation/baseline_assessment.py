"""The assessment of stage 1A: success by type, sentinels, and explanations apart."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from ..common.failure import StageError
from ..common.oom_retry import with_halved_batches
from ..common.records import WAYS, BaselineRecord
from ..model import base_model_check
from ..model.blank_answers import count_blanks
from ..verification.instruction import TYPES, Instruction
from ..verification.scoring import table


def select_explicit(held_out: Sequence[Instruction], count: int, seed: int) -> list[str]:
    """The texts of `count` held-out instructions, taken from the types in turn, by `seed`.

    Free text is left out: a rule sees its form only.
    """
    draw = random.Random(seed)  # noqa: S311 - not a secret
    by_type = {
        name: [
            instruction.text
            for instruction in held_out
            if instruction.type == name and not instruction.form_only
        ]
        for name in TYPES
    }
    for texts in by_type.values():
        draw.shuffle(texts)
    longest = max(map(len, by_type.values()))
    turns = [
        text for n in range(longest) for texts in by_type.values() for text in texts[n : n + 1]
    ]
    return turns[:count]


def assess(
    rows: Sequence[BaselineRecord], tolerated: int, results: list[dict[str, Any]]
) -> dict[str, Any]:
    """The assessment of judged rows and sentinel results, each verdict with its rule."""
    explicit = [row for row in rows if row.explicit]
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
        "blank": {
            way: count_blanks((row.answer(way).response, row.answer(way).blank) for row in rows)
            for way in WAYS
        },
        "sentinels": base_model_check.assess_sentinels(results, tolerated) | {"results": results},
    }


def _tables(rows: Sequence[BaselineRecord]) -> dict[str, Any]:
    """The table of success of each way."""
    return {way: table(row.answer(way) for row in rows) for way in WAYS}


def ask_critic(
    model: Any,
    tokenizer: Any,
    pool: Sequence[Instruction],
    rows: Sequence[BaselineRecord],
    batch: int,
    say: Callable[[str], None],
) -> tuple[dict[str, Any], list[BaselineRecord]]:
    """Ask the critic about the rows that no rule can judge; they are counted in no success.

    Returns the summary {n, raw, few_shot}, which says how many answers the critic prefers, and
    the rows with the critic's margins.
    """
    from ..model.critic import margins

    summarised: dict[str, Any] = {"n": len(rows), "counted_as_success": False}
    judged = list(rows)
    if not rows:
        return summarised, judged
    for way in WAYS:
        pairs = [(row.instruction, row.answer(way).response) for row in rows]
        try:
            of_way = with_halved_batches(
                partial(margins, model, tokenizer, pool, pairs), batch, say
            )
        except StageError as error:  # no such letters, or memory for them: said, not fatal
            return summarised | {"critic": error.what}, judged
        judged = [
            replace(row, margins={**row.margins, way: margin.mean})
            for row, margin in zip(judged, of_way, strict=True)
        ]
        summarised[way] = {"preferred": sum(margin.mean > 0 for margin in of_way)}
    return summarised, judged


def summary(assessment: dict[str, Any]) -> str:
    """The result in one line."""
    cells = {way: assessment["explicit"][way]["overall"] for way in WAYS}
    words = [
        f"{way.replace('_', '-')} {cell['correct']}/{cell['n']} "
        f"({cell['wilson_low']:.0%} to {cell['wilson_high']:.0%})"
        for way, cell in cells.items()
    ]
    sentinels = assessment["sentinels"]
    as_base = "as" if sentinels["as_base_model"] else "NOT as"
    return f"{', '.join(words)}; sentinels {as_base} of a base model: {sentinels['why']}"
