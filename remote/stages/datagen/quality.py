"""The report on the generated data: what was kept, what was removed and why, with samples."""

from __future__ import annotations

import random
import statistics as averages
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ..common.records import ResponseRecord
from ..instructions import leakage as disjointness
from ..instructions.instruction_set import InstructionSet
from ..text.near_duplicates import THRESHOLD
from ..verification.instruction import TYPES
from ..verification.scoring import table
from .selection import PASSED, RULES, Judged

SAMPLES = 5  # of each reason, and of what was kept of each type
SHOWN = 600  # characters of a sampled text


def of(judged: Sequence[Judged], kept: Sequence[Judged], seed: int) -> dict[str, Any]:
    """Everything that follows from the verdicts."""
    return {
        "filters": removed(judged, seed),
        "success": {"generated": success(judged), "kept": success(kept)},
        "lengths": lengths(kept),
        "kept_samples": kept_samples(kept, seed),
    }


def removed(judged: Sequence[Judged], seed: int = 0) -> dict[str, Any]:
    """For each filter that ran: its rule, how many it `removed` as the first that objected, how
    many it `objected` to at all, and a sample of those that it removed."""
    ran = {name for one in judged for name in one.verdicts}
    found = {}
    for name in (name for name in RULES if name in ran):
        gone = [one for one in judged if one.removed_by == name]
        found[name] = {
            "rule": RULES[name],
            "removed": len(gone),
            "objected": sum(one.verdicts.get(name, PASSED) != PASSED for one in judged),
            "samples": [
                _sample(one) | {"why": one.verdicts[name]} for one in _drawn(gone, name, seed)
            ],
        }
    return found


def kept_samples(kept: Sequence[Judged], seed: int = 0) -> dict[str, list[dict[str, Any]]]:
    """Some of what was kept, by type."""
    return {
        name: [_sample(one) for one in _drawn(_of_type(kept, name), name, seed)] for name in TYPES
    }


def _drawn(some: Sequence[Judged], name: str, seed: int) -> list[Judged]:
    draw = random.Random(f"samples/{seed}/{name}")  # noqa: S311 - not a secret
    return draw.sample(list(some), min(SAMPLES, len(some)))


def _sample(one: Judged) -> dict[str, Any]:
    return {
        "instruction": one.candidate.instruction.text[:SHOWN],
        "type": one.candidate.instruction.type,
        "response": one.candidate.response[:SHOWN],
        "correct": not one.reasons,
    }


def success(judged: Iterable[Judged]) -> dict[str, Any]:
    """How often the verifier says correct, by type, with Wilson's intervals."""
    return table(
        ResponseRecord(
            one.candidate.instruction.text,
            one.candidate.instruction.type,
            one.candidate.instruction.kind,
            one.candidate.response,
            correct=not one.reasons,
            reasons=one.reasons,
        )
        for one in judged
    )


def lengths(kept: Sequence[Judged]) -> dict[str, Any]:
    """Characters of the kept responses, overall and by type."""
    by_type = {
        name: _spread([len(k.candidate.response) for k in _of_type(kept, name)]) for name in TYPES
    }
    return {"overall": _spread([len(k.candidate.response) for k in kept]), "types": by_type}


def _of_type(kept: Sequence[Judged], name: str) -> list[Judged]:
    return [one for one in kept if one.candidate.instruction.type == name]


def _spread(values: Sequence[int]) -> dict[str, float | int | None]:
    names = ("least", "p5", "median", "mean", "p95", "most")
    if not values:
        return {"n": 0} | dict.fromkeys(names)
    ordered = sorted(values)

    def share(of: float) -> int:
        return ordered[min(len(ordered) - 1, int(of * len(ordered)))]

    mean = round(averages.fmean(ordered), 1)
    found = (ordered[0], share(0.05), share(0.5), mean, share(0.95), ordered[-1])
    return {"n": len(ordered)} | dict(zip(names, found, strict=True))


def apart(data: Path, chosen: InstructionSet) -> dict[str, Any]:
    """Overlaps of the written file with what is measured on, counted by reading it again.

    `exact` and `near` are the sums over both parts; every text of a record counts.
    """
    found: dict[str, Any] = {}
    for name, texts in disjointness.measured(chosen).items():
        look = disjointness.look(data, "run stage1b again", {name: texts})
        cell = disjointness.report(look)
        found[name] = {"n": len(texts)} | {key: cell[key] for key in ("exact", "near", "examples")}
    return {
        "exact": sum(one["exact"] for one in found.values()),
        "near": sum(one["near"] for one in found.values()),
        "threshold": THRESHOLD,
        "rule": (
            "measured instructions that stand in an instruction, a prompt or a response of the "
            "data: as the whole of it or of a line but for case and punctuation (exact), word for "
            "word among others, or with a share of common character 5-grams of the threshold or "
            "more (near; all are among them)"
        ),
    } | found
