"""Compares the statistics that a pod reports with those computed from its responses here."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import key_path
from .format_check import InvalidFile
from .globs import file_at
from .records import document
from .rescore import Record, Rescoring, Tally
from .stage import Criterion
from .verdict import Measured, Outcome, Verdict, verdict

SHOWN = 3  # differences that are named
TOLERANCE = 1e-12  # between two machines' arithmetic
# Bounds of reports of earlier versions are of resamples that were drawn: they differ by chance.
_DRAWN = {"low": 0.02, "high": 0.02, "bootstrap_low": 0.02, "bootstrap_high": 0.02}
_WORDS = ("text", "why", "rule", "finding", "title")  # say the figures again
# Follow from other figures, or only show responses.
_DERIVED = ("p_adjusted", "n_to_settle", "samples", "examples")


def judge(scores: Tally, criterion: Criterion, files: Path, rescoring: Rescoring) -> Outcome:
    """PASS where the value at the criterion's key, computed here, is what the criterion asks for,
    and the pod's report says no other figure than the responses have."""
    if not scores.judged:
        return Verdict.INCONCLUSIVE, 0, "no response"
    report = criterion.report or ""
    claimed = document(file_at(report, files))
    if not isinstance(claimed, dict):
        raise InvalidFile(f"{report}: no JSON object")
    computed = rescoring.key.statistics(scores, files, report, claimed)
    need = criterion.at_least if criterion.at_least is not None else 1
    if (count := scores.instructions) < need:
        return Verdict.FAIL, count, f"{count} instructions, need {need:g}"
    if lies := [*differences(computed, claimed)]:
        more = f", and {len(lies) - SHOWN} more" if len(lies) > SHOWN else ""
        text = f"{report} says other figures than its responses have: {'; '.join(lies[:SHOWN])}"
        return Verdict.FAIL, None, text + more
    measured = key_path.at(computed, criterion.key or "")
    same = type(measured) is type(criterion.equals) and measured == criterion.equals
    text = f"{shown(measured)!r}, need {criterion.equals!r}; " if not same else ""
    text += f"computed here from {scores.responses} responses: "
    return verdict(same), shown(measured), text + words_of(computed, criterion.key or "")


def differences(computed: Any, claimed: Any, place: str = "") -> Iterator[str]:
    """In words, each figure of `claimed` that is another one in `computed`.

    What `claimed` does not say is no difference: what is shown and locked is `computed`.
    """
    if isinstance(computed, Mapping):
        if not isinstance(claimed, Mapping):
            yield f"{place} is no object"
            return
        for name, value in computed.items():
            if name in claimed and name not in (*_WORDS, *_DERIVED):
                yield from differences(value, claimed[name], f"{place}.{name}".lstrip("."))
    elif isinstance(computed, Sequence) and not isinstance(computed, str):
        if not isinstance(claimed, list):
            yield f"{place} is no list"
            return
        for number, (value, other) in enumerate(zip(computed, claimed, strict=False)):
            yield from differences(value, other, f"{place}.{number}")
    elif not _same(computed, claimed, _DRAWN.get(place.rpartition(".")[2], TOLERANCE)):
        yield f"{place} is {_figure(claimed)}, not {_figure(computed)}"


def _same(computed: Any, claimed: Any, tolerance: float) -> bool:
    numbers = [
        isinstance(value, int | float) and not isinstance(value, bool)
        for value in (computed, claimed)
    ]
    if not all(numbers):
        return type(computed) is type(claimed) and bool(computed == claimed)
    return abs(claimed) < 1e300 and math.isclose(computed, claimed, rel_tol=1e-6, abs_tol=tolerance)


def _figure(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else repr(value)[:60]


def words_of(computed: Record, key: str) -> str:
    """The figures beside the value at `key`, in words."""
    parent = key_path.at(computed, key.rpartition(".")[0]) if "." in key else computed
    if isinstance(parent, Mapping) and isinstance(parent.get("why"), list):
        return "; ".join(map(str, parent["why"]))
    if isinstance(parent, Mapping) and parent.get("lift") is not None:
        return (
            f"{parent['before']:.1%} → {parent['after']:.1%}, lift {parent['lift']:+.1%} "
            f"[{parent['low']:+.1%}, {parent['high']:+.1%}], n = {parent['n']}, "
            f"p = {parent['p']:.2g}"
        )
    return "nothing was measured"


def shown(value: Any) -> Measured:
    """A figure as a lock can hold it."""
    return value if isinstance(value, str | bool | int | float) else type(value).__name__
