"""The statistics of stage 1E, computed from its answers: on the pod, and again on the laptop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..common import layout
from ..common.decoding_pass import DecodingPass
from ..common.records import ResponseRecord
from ..instructions import leakage
from ..instructions.instruction_set import InstructionSet
from ..instructions.sets import same_answers
from . import comparison
from .chosen_answers import chosen_answers, gains_by_source
from .trivial_answers import trivial_answers

BY_SOURCE = (("base", "dpo"), ("sft", "dpo"))


def compute(
    answers: comparison.Answers,
    responses: Mapping[DecodingPass, Sequence[ResponseRecord]],
    chosen: InstructionSet,
    overlap: Mapping[str, Any],
    rule: comparison.Rule,
    folder: Path = Path(),
) -> dict[str, Any]:
    """The verdict and every figure that follows from the answers.

    `answers` are greedy, in the order of the held-out instructions; `responses` holds what was
    sampled too. The pairs of stage 1D lie below `folder`. Raises: StageError.
    """
    trivial = trivial_answers(chosen.train, chosen.held_out)
    sources = chosen_answers(folder / layout.PREFERENCE_PAIRS)
    report = comparison.assess(answers, shares(responses), overlap, rule, trivial)
    gains = {
        comparison.name_of(before, after): gains_by_source(
            answers[before], answers[after], sources["kinds"]
        )
        for before, after in BY_SOURCE
    }
    return report | {
        "finding": f"{report['finding']} {sources['finding']}",
        "chosen_answers": sources,
        "gain_by_source": gains,
        "samples": comparison.samples(answers),
    }


def find_overlap(
    chosen: InstructionSet, folder: Path = Path(), *, chat: bool = False
) -> dict[str, Any]:
    """Held-out instructions in what the stages below `folder` learned from. Raises: StageError."""
    files = {layout.TRAINING_DATA: "run stage1b", layout.PREFERENCE_PAIRS: "run stage1d"}
    texts = [instruction.text for instruction in chosen.held_out]
    overlap = leakage.check_files(files, {"held_out": texts}, folder, chat=chat)
    return overlap | {"same_answers": same_answers(chosen)}


def shares(responses: Mapping[DecodingPass, Sequence[ResponseRecord]]) -> dict[str, list[float]]:
    """By system, the share of correct samples of each instruction, from 0 to 1."""
    by_system: dict[str, list[Sequence[ResponseRecord]]] = {}
    for way, records in responses.items():
        if way.temperature:
            counted = [record for record in records if not record.form_only]
            by_system.setdefault(way.system, []).append(counted)
    return {
        system: [
            sum(bool(record.correct) for record in samples) / len(samples)
            for samples in zip(*rows, strict=True)
        ]
        for system, rows in by_system.items()
    }
