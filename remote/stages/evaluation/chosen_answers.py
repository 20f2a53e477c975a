"""Says where the chosen answers of the preference pairs come from, and what each source gained.

A canonical answer comes with its instruction and was written by no model: what is learned from it
is distillation, and no gain of preferences among the model's own answers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..common.jsonl import read_records
from ..common.records import CANONICAL, ResponseRecord
from ..verification import statistics

OWN, NONE = "own", "none"
SOURCES = (OWN, CANONICAL, NONE)
_FIGURES = ("n", "before", "after", "lost", "won", "lift", "low", "high", "p")


def chosen_answers(path: Path) -> dict[str, Any]:
    """{pairs, own, canonical, share_canonical, sources, kinds, finding} of the pairs in the file
    at `path`; `kinds` has the source of most pairs of each kind."""
    sources, kinds = Counter[str](), dict[str, Counter[str]]()
    for _, record in read_records(path, "run stage1d"):
        source = str(record.get("chosen_source", "generated"))
        sources[source] += 1
        own = CANONICAL if source == CANONICAL else OWN
        kinds.setdefault(str(record.get("kind", "")), Counter())[own] += 1
    count, canonical = sources.total(), sources[CANONICAL]
    share = canonical / count if count else 0.0
    return {
        "pairs": count,
        "own": count - canonical,
        "canonical": canonical,
        "share_canonical": share,
        "sources": dict(sorted(sources.items())),
        "kinds": {
            kind: OWN if of[OWN] >= of[CANONICAL] else CANONICAL
            for kind, of in sorted(kinds.items())
        },
        "finding": _finding(share),
    }


def gains_by_source(
    before: Sequence[ResponseRecord], after: Sequence[ResponseRecord], kinds: Mapping[str, str]
) -> dict[str, Any]:
    """The paired comparison of the instructions whose kind has most of its pairs from a source.

    `kinds` is that of `chosen_answers`; kinds without a pair are under `none`.
    """
    rows: dict[str, list[tuple[bool, bool]]] = {source: [] for source in SOURCES}
    for first, second in zip(before, after, strict=True):
        if first.correct is not None and not first.form_only:
            source = kinds.get(first.kind, NONE)
            rows[source].append((bool(first.correct), bool(second.correct)))
    gains: dict[str, Any] = {}
    for source, pairs in rows.items():
        figures = statistics.compare(pairs, 0.0)
        of = [kind for kind in sorted(kinds) if kinds[kind] == source]
        gains[source] = {"kinds": of} | {name: figures[name] for name in _FIGURES}
    return gains


def _finding(share: float) -> str:
    if share == 0:
        return "Every chosen answer of DPO is a verified one of the model itself."
    return (
        f"{share:.0%} of DPO's chosen answers are canonical answers of the instruction set: that "
        "part of the gain is distillation from them, not preference among the model's own answers."
    )
