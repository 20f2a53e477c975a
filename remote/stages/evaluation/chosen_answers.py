"""Says where the chosen answers of the preference pairs come from.

A canonical answer comes with its instruction and was written by no model: what is learned from it
is distillation, and no gain of preferences among the model's own answers.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from ..common.jsonl import read_records
from ..common.records import CANONICAL


def chosen_answers(path: Path) -> dict[str, Any]:
    """{pairs, own, canonical, share_canonical, finding} of the pairs in the file at `path`."""
    sources: Counter[str] = Counter()
    for _, record in read_records(path, "run stage1d"):
        sources["canonical" if record.get("chosen_source") == CANONICAL else "own"] += 1
    count = sources.total()
    share = sources["canonical"] / count if count else 0.0
    return {
        "pairs": count,
        "own": sources["own"],
        "canonical": sources["canonical"],
        "share_canonical": share,
        "finding": _finding(share),
    }


def _finding(share: float) -> str:
    if share == 0:
        return "Every chosen answer of DPO is a verified one of the model itself."
    return (
        f"{share:.0%} of DPO's chosen answers are canonical answers of the instruction set: that "
        "part of the gain is distillation from them, not preference among the model's own answers."
    )
