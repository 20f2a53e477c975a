"""The quality report on the generated data: counts and samples, kept and removed."""

from __future__ import annotations

import random
import statistics as averages
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ..common.records import ResponseRecord
from ..instructions import leakage
from ..instructions.instruction_set import InstructionSet
from ..model.blank_answers import blank_cause, count_blanks
from ..text.near_duplicates import THRESHOLD
from ..verification.instruction import TYPES
from ..verification.scoring import table
from .selection import PASSED, RULES, Judged

SAMPLES = 5  # of each reason, and of what was kept of each type
SHOWN = 600  # characters of a sampled text


def assess(judged: Sequence[Judged], kept: Sequence[Judged], seed: int) -> dict[str, Any]:
    """The figures and samples that follow from the verdicts."""
    return {
        "filters": removed(judged, seed),
        "success": {"generated": success(judged), "kept": success(kept)},
        "blank": blank(judged),
        "lengths": lengths(kept),
        "kept_samples": kept_samples(kept, seed),
    }


def blank(judged: Sequence[Judged]) -> dict[str, Any]:
    """How many responses are blank, by cause, and how many of those a filter removed."""
    candidates = [response.candidate for response in judged]
    counts = count_blanks(
        (candidate.response, blank_cause(candidate.response, candidate.finished, candidate.tokens))
        for candidate in candidates
    )
    filtered = sum(
        not response.candidate.response.strip() and response.removed_by is not None
        for response in judged
    )
    return counts | {"filtered": filtered}


def removed(judged: Sequence[Judged], seed: int = 0) -> dict[str, Any]:
    """For each filter that ran: its rule, how many it `removed` as the first that objected, how
    many it `objected` to at all, and a sample of those that it removed."""
    ran = {name for response in judged for name in response.verdicts}
    by_filter = {}
    for name in (name for name in RULES if name in ran):
        gone = [response for response in judged if response.removed_by == name]
        by_filter[name] = {
            "rule": RULES[name],
            "removed": len(gone),
            "objected": sum(response.verdicts.get(name, PASSED) != PASSED for response in judged),
            "samples": [
                _sample(response) | {"why": response.verdicts[name]}
                for response in _drawn(gone, name, seed)
            ],
        }
    return by_filter


def kept_samples(kept: Sequence[Judged], seed: int = 0) -> dict[str, list[dict[str, Any]]]:
    """A sample of the kept responses, by type."""
    return {
        name: [_sample(response) for response in _drawn(_of_type(kept, name), name, seed)]
        for name in TYPES
    }


def _drawn(some: Sequence[Judged], name: str, seed: int) -> list[Judged]:
    draw = random.Random(f"samples/{seed}/{name}")  # noqa: S311 - not a secret
    return draw.sample(list(some), min(SAMPLES, len(some)))


def _sample(judged: Judged) -> dict[str, Any]:
    return {
        "instruction": judged.candidate.instruction.text[:SHOWN],
        "type": judged.candidate.instruction.type,
        "response": judged.candidate.response[:SHOWN],
        "correct": not judged.reasons,
    }


def success(judged: Iterable[Judged]) -> dict[str, Any]:
    """The success by the verifier, by type, with Wilson's intervals."""
    return table(
        ResponseRecord(
            response.candidate.instruction.text,
            response.candidate.instruction.type,
            response.candidate.instruction.kind,
            response.candidate.response,
            correct=not response.reasons,
            reasons=response.reasons,
            form_only=response.candidate.instruction.form_only,
        )
        for response in judged
    )


def lengths(kept: Sequence[Judged]) -> dict[str, Any]:
    """Characters of the kept responses, overall and by type."""
    by_type = {
        name: _spread([len(k.candidate.response) for k in _of_type(kept, name)]) for name in TYPES
    }
    return {"overall": _spread([len(k.candidate.response) for k in kept]), "types": by_type}


def _of_type(kept: Sequence[Judged], name: str) -> list[Judged]:
    return [judged for judged in kept if judged.candidate.instruction.type == name]


def _spread(values: Sequence[int]) -> dict[str, float | int | None]:
    names = ("least", "p5", "median", "mean", "p95", "most")
    if not values:
        return {"n": 0} | dict.fromkeys(names)
    ordered = sorted(values)

    def share(quantile: float) -> int:
        return ordered[min(len(ordered) - 1, int(quantile * len(ordered)))]

    mean = round(averages.fmean(ordered), 1)
    values_at = (ordered[0], share(0.05), share(0.5), mean, share(0.95), ordered[-1])
    return {"n": len(ordered)} | dict(zip(names, values_at, strict=True))


def disjointness(data: Path, chosen: InstructionSet) -> dict[str, Any]:
    """Overlaps of the written file with the measured sets, counted by reading it again.

    `exact` and `near` are the sums over both parts; every text of a record counts.
    """
    by_part: dict[str, Any] = {}
    for name, texts in leakage.measured_texts(chosen).items():
        look = leakage.find_leakage(data, "run stage1b again", {name: texts})
        cell = leakage.report(look)
        by_part[name] = {"n": len(texts)} | {
            key: cell[key] for key in ("exact", "near", "examples")
        }
    return {
        "exact": sum(part["exact"] for part in by_part.values()),
        "near": sum(part["near"] for part in by_part.values()),
        "threshold": THRESHOLD,
        "rule": (
            "measured instructions that stand in an instruction, a prompt or a response of the "
            "data: as the whole of it or of a line but for case and punctuation (exact), word for "
            "word among others, or with a share of common character 5-grams of the threshold or "
            "more (near; all are among them)"
        ),
    } | by_part
