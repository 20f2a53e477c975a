"""Is DPO no worse than SFT, and better where there is room? On instructions neither was trained on.

Greedy answers are compared in pairs, for non-inferiority; answers at a temperature by the share
that is correct for each instruction. That is where DPO's gain shows: greedy success is often near
its ceiling after SFT.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from . import statistics
from .answering import Way
from .instruction_sets import InstructionSet
from .scoring import Record, table

SYSTEMS = ("sft", "dpo")
PARTS = ("development", "held_out")
ROOM = 0.05  # share of wrong samples of SFT from which on DPO has to be better, not just no worse

Found = Mapping[Way, Sequence[Record]]


def assess(found: Found, chosen: InstructionSet, margin: float, seed: int) -> dict[str, Any]:
    """{verdict, rule, both, development, held_out}: judged on both parts together, each beside it.

    `found` has for each way one record an instruction.
    """
    texts = {part: {one.text for one in getattr(chosen, part)} for part in PARTS}
    every = set().union(*texts.values())
    both = _part(found, every, margin, seed)
    return {
        "verdict": statistics.worst([both["greedy"]["verdict"], both["sampled"]["verdict"]]),
        "rule": (
            "greedy: " + both["greedy"]["rule"] + "; sampled: " + both["sampled"]["rule"] + ". "
            "PASS when both do, on the development and held-out instructions together; FAIL when "
            "one fails"
        ),
        "margin": margin,
        "both": both,
    } | {part: _part(found, texts[part], margin, seed) for part in PARTS}


def _part(found: Found, texts: set[str], margin: float, seed: int) -> dict[str, Any]:
    rows = {
        way: [one for one in records if one["instruction"] in texts and one["correct"] is not None]
        for way, records in found.items()
    }
    greedy = {one.system: rows[one] for one in rows if not one.temperature}
    verdicts = {name: [bool(one["correct"]) for one in greedy[name]] for name in SYSTEMS}
    pairs = list(zip(verdicts["sft"], verdicts["dpo"], strict=True))
    shares = {
        name: _shares([rows[one] for one in rows if one.system == name and one.temperature])
        for name in SYSTEMS
    }
    return {
        "greedy": statistics.noninferior(pairs, margin, seed)
        | {name: table(greedy[name]) for name in SYSTEMS},
        "sampled": sampled(list(zip(shares["sft"], shares["dpo"], strict=True)), margin, seed),
    }


def _shares(passes: Sequence[Sequence[Record]]) -> list[float]:
    """Of each instruction, the share of its samples that is correct."""
    return [
        sum(1 for one in samples if one["correct"]) / len(samples)
        for samples in zip(*passes, strict=True)
    ]


def sampled(pairs: statistics.Rates, margin: float, seed: int) -> dict[str, Any]:
    """The comparison of shares; what is asked of it depends on the room that SFT left."""
    before = sum(one for one, _ in pairs) / len(pairs) if pairs else 0.0
    room = 1 - before >= ROOM
    threshold = 0.0 if room else -margin
    asked = "better" if room else f"not worse by {margin:g}"
    return statistics.compare_rates(pairs, threshold, seed) | {
        "rule": (
            f"SFT's samples are wrong in {1 - before:.1%}, {'' if room else 'not '}{ROOM:g} or "
            f"more, so DPO has to be {asked}: PASS when the interval of the lift lies above "
            f"{threshold:+g}, FAIL when it lies below, else INCONCLUSIVE"
        )
    }
