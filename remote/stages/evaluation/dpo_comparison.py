"""Compares DPO with SFT on instructions that neither was trained on.

Greedy answers are compared in pairs, for non-inferiority; answers at a temperature by the share
that is correct for each instruction. That is where DPO's gain shows: greedy success is often near
its ceiling after SFT.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..common.decoding_pass import DecodingPass
from ..common.records import ResponseRecord
from ..instructions.instruction_set import InstructionSet
from ..verification import statistics
from ..verification.scoring import table
from .chosen_answers import chosen_answers, gains_by_source
from .trivial_answers import trivial_answers

SYSTEMS = ("sft", "dpo")
PARTS = ("development", "held_out")
ROOM = 0.10  # what sampling costs SFT from which on DPO has to be better, not just no worse

Found = Mapping[DecodingPass, Sequence[ResponseRecord]]


def assess(responses: Found, chosen: InstructionSet, margin: float, pairs: Path) -> dict[str, Any]:
    """{verdict, rule, both, development, held_out}: judged on both parts together, each beside it.

    `responses` has for each way one record an instruction; `pairs` is the file of what was learned
    from, for `chosen_answers` and `gain_by_source`.
    """
    texts = {part: {instruction.text for instruction in getattr(chosen, part)} for part in PARTS}
    every = set().union(*texts.values())
    both = _part(responses, every, margin)
    sources = chosen_answers(pairs)
    trivial = _above_trivial(responses, chosen)
    verdicts = [both["greedy"]["verdict"], both["sampled"]["verdict"], trivial["verdict"]]
    return {
        "verdict": statistics.worst(verdicts),
        "rule": (
            "greedy: " + both["greedy"]["rule"] + "; sampled: " + both["sampled"]["rule"] + ". "
            "PASS when both do, on the development and held-out instructions together, and greedy "
            "DPO is shown to be above every answer that needs no model; FAIL when one fails"
        ),
        "margin": margin,
        "trivial": trivial,
        "both": both,
        "chosen_answers": sources,
        "gain_by_source": gains_by_source(
            responses[DecodingPass("sft")], responses[DecodingPass("dpo")], sources["kinds"]
        ),
    } | {part: _part(responses, texts[part], margin) for part in PARTS}


def _above_trivial(responses: Found, chosen: InstructionSet) -> dict[str, Any]:
    """DPO's greedy answers against those that need no model: {verdict, constants, keywords}."""
    greedy = next(
        records for way, records in responses.items() if way.system == "dpo" and not way.temperature
    )
    by_text = {record.instruction: record for record in greedy}
    measured = [
        instruction
        for part in PARTS
        for instruction in getattr(chosen, part)
        if instruction.text in by_text
    ]
    cells = {}
    for name, records in trivial_answers(chosen.train, measured).items():
        pairs = [
            (bool(record.correct), bool(by_text[record.instruction].correct))
            for record in records
            if record.correct is not None and not record.form_only
        ]
        figures = statistics.improvement(pairs, 0.0)
        cells[name] = table(records) | {"verdict": figures["verdict"], "dpo_over_it": figures}
    return {"verdict": statistics.worst([cell["verdict"] for cell in cells.values()])} | cells


def _part(responses: Found, texts: set[str], margin: float) -> dict[str, Any]:
    rows = {
        way: [
            record
            for record in records
            if record.instruction in texts and record.correct is not None and not record.form_only
        ]
        for way, records in responses.items()
    }
    greedy = {way.system: rows[way] for way in rows if not way.temperature}
    verdicts = {name: [bool(record.correct) for record in greedy[name]] for name in SYSTEMS}
    pairs = list(zip(verdicts["sft"], verdicts["dpo"], strict=True))
    shares = {
        name: _shares([rows[way] for way in rows if way.system == name and way.temperature])
        for name in SYSTEMS
    }
    ceiling = sum(verdicts["sft"]) / len(pairs) if pairs else 0.0
    return {
        "greedy": statistics.noninferior(pairs, margin)
        | {name: table(greedy[name]) for name in SYSTEMS},
        "sampled": sampled([*zip(shares["sft"], shares["dpo"], strict=True)], ceiling, margin),
    }


def _shares(passes: Sequence[Sequence[ResponseRecord]]) -> list[float]:
    """The share of correct samples of each instruction, from 0 to 1."""
    return [
        sum(1 for record in samples if record.correct) / len(samples)
        for samples in zip(*passes, strict=True)
    ]


def sampled(pairs: statistics.Rates, ceiling: float, margin: float) -> dict[str, Any]:
    """Compares shares of correct samples; the threshold depends on the room that SFT left.

    That is how far SFT's sampled success lies below its greedy one, `ceiling`: what the model can
    do and loses by chance, which is what preferences can win back.
    """
    before = sum(share for share, _ in pairs) / len(pairs) if pairs else 0.0
    room = ceiling - before
    better = room >= ROOM
    threshold = 0.0 if better else -margin
    return statistics.compare_rates(pairs, threshold) | {
        "room": room,
        "rule": (
            f"sampling costs SFT {room:.1%} of success; "
            f"{'as' if better else 'were'} that {ROOM:.0%} or more, DPO "
            f"{'has' if better else 'would have'} to be better"
            f"{'' if better else f', and has to be no worse by {margin:g}'}: PASS when the "
            f"interval of the lift lies above {threshold:+g} (above 0 where all could be lost "
            "within that), FAIL when it lies below, else INCONCLUSIVE; so are fewer than "
            f"{statistics.LEAST_RATES} instructions"
        ),
    }
