"""Preference pairs: a verified answer over one that the verifier calls wrong.

The wrong ones are the SFT model's own, sampled at a temperature. Where these are too few, made-up
ones may fill the gap: the right answer to another instruction of the same kind, fluent, of the
right form, and wrong; or a right answer without its end. Each pair says where both sides are from.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..common.failure import StageError
from ..common.parameters import DpoParameters
from ..common.records import CANONICAL, PreferencePair, SystemResponse
from ..common.training_record import TrainingRecord
from ..instructions.instruction_set import InstructionSet
from ..instructions.training_records import read_training
from ..text.chat_template import template_text
from ..text.near_duplicates import overlaps
from ..text.prompts import bare
from ..verification.instruction import CRITIC, TYPES, Instruction
from ..verification.specification import check_specification
from ..verification.verifier import Check, VerifierError

SAMPLED, CORRUPTED = "sampled", "corruption"  # where a rejected answer is from
GENERATED = "generated"  # where a chosen answer is from, if not SAMPLED or CANONICAL
_TRIES = 20  # other answers that are tried as a wrong one


class TooFewFailures(StageError):
    """The SFT model fails too rarely; `pairs` are those that there are."""

    def __init__(self, what: str, pairs: Sequence[PreferencePair]) -> None:
        remedy = (
            "the model may be too good for preferences to improve it; else raise temperature, "
            "rounds, sample_budget or per_instruction, set corruption = true to fill the gap with "
            "made-up failures, or lower least_pairs"
        )
        super().__init__(what, remedy=remedy)
        self.pairs = tuple(pairs)


@dataclass(frozen=True)
class Candidate:
    """An instruction that can be sampled, and a verified answer to it."""

    instruction: Instruction
    chosen: str
    source: str


def candidates(data: Path, chosen: InstructionSet, *, chat: bool = False) -> tuple[Candidate, ...]:
    """The training instructions that have a verified answer: of `data`, else the canonical one.

    Instructions of `data` that are not of the set count when they bring their own checks. Raises:
    StageError naming file and line.
    """
    known = {
        instruction.text: instruction for instruction in chosen.train if instruction.kind != CRITIC
    }
    by_text: dict[str, Candidate] = {}
    for record in read_training(data, "run stage1b", chat=chat):
        instruction = _instruction(record, known)
        if instruction is not None and instruction.text not in by_text:
            response = record.response.strip()
            if not instruction.reasons(response):
                by_text[instruction.text] = Candidate(instruction, response, GENERATED)
    for text, instruction in known.items():
        answer = instruction.answer
        if text not in by_text and answer and not instruction.reasons(answer):
            by_text[text] = Candidate(instruction, answer, CANONICAL)
    if not by_text:
        raise StageError(
            f"{data}: no record whose response its verifier accepts",
            remedy="run stage1b again, or give the records checks and right responses",
        )
    return tuple(by_text.values())


def _instruction(record: TrainingRecord, known: Mapping[str, Instruction]) -> Instruction | None:
    """The instruction of a record; None when it is in no set and has no checks of its own."""
    text = record.instruction
    if text is None or text in known:
        return known.get(text) if text is not None else None
    if not record.fields.get("checks"):
        return None
    kind = record.fields.get("type")
    if kind not in TYPES:
        raise StageError(
            f"{record.where}: type is {kind!r}", remedy=f"use one of {', '.join(TYPES)}"
        )
    return Instruction(text, kind, str(record.fields.get("kind", kind)), "", _checks(record))


def _checks(record: TrainingRecord) -> tuple[Check, ...]:
    checks = record.fields["checks"]
    try:
        if not isinstance(checks, list):
            raise VerifierError("checks must be a list")
        check_specification(checks)
    except VerifierError as error:
        raise StageError(
            f"{record.where}: {error}", remedy="correct the checks, or leave them out"
        ) from error
    return tuple(checks)


def usable_samples(
    records: Sequence[SystemResponse], chosen: InstructionSet
) -> list[SystemResponse]:
    """The samples that a pair may use: without measured instructions, and without markup."""
    measured = [instruction.text for instruction in (*chosen.held_out, *chosen.development)]
    texts = [
        (place, text)
        for place, record in enumerate(records)
        for text in (record.response, *record.response.splitlines())
        if text.strip()
    ]
    unusable = {
        texts[overlap.candidate][0] for overlap in overlaps([text for _, text in texts], measured)
    }
    unusable |= {place for place, record in enumerate(records) if template_text(record.response)}
    return [record for place, record in enumerate(records) if place not in unusable]


def sampled_pairs(
    candidates: Sequence[Candidate], records: Iterable[SystemResponse], parameters: DpoParameters
) -> list[PreferencePair]:
    """Pairs whose rejected answer is a sampled one that is wrong, at most `pairs`.

    First one of each instruction, then a second of each, up to `per_instruction`; which ones are
    left out is drawn by seed, but chosen answers of the model's own go before canonical ones.
    """
    wrong: dict[str, dict[str, SystemResponse]] = {}
    for record in records:
        if record.correct is False:
            wrong.setdefault(record.instruction, {}).setdefault(record.response, record)
    draw = random.Random(parameters.seed)  # noqa: S311 - not a secret
    shuffled = draw.sample(candidates, len(candidates))
    shuffled.sort(key=lambda candidate: candidate.source == CANONICAL)
    turns = [
        _sampled(candidate, record, parameters)
        for turn in range(parameters.per_instruction)
        for candidate in shuffled
        for record in [*wrong.get(candidate.instruction.text, {}).values()][turn : turn + 1]
    ]
    return turns[: parameters.pairs]


def fill_with_corruptions(
    pairs: Sequence[PreferencePair], candidates: Sequence[Candidate], parameters: DpoParameters
) -> list[PreferencePair]:
    """`pairs`, filled up to `least_pairs` with corrupted answers if allowed. Raises: StageError."""
    lacking = parameters.least_pairs - len(pairs)
    if lacking <= 0:
        return list(pairs)
    made: list[PreferencePair] = []
    if parameters.corruption:
        made = _made_up(pairs, candidates, parameters, lacking)
    if len(made) < lacking:
        also = f" and {len(made)} could be made up" if parameters.corruption else ""
        raise TooFewFailures(
            f"{len(pairs)} failures of the SFT model that make a pair, of {len(candidates)} "
            f"instructions{also}, {parameters.least_pairs} pairs are needed",
            [*pairs, *made],
        )
    return [*pairs, *made]


def _made_up(
    pairs: Sequence[PreferencePair],
    candidates: Sequence[Candidate],
    parameters: DpoParameters,
    count: int,
) -> list[PreferencePair]:
    draw = random.Random(f"{parameters.seed}/corruption")  # noqa: S311 - not a secret
    taken: dict[str, int] = {}
    for pair in pairs:
        taken[pair.instruction] = taken.get(pair.instruction, 0) + 1
    made: list[PreferencePair] = []
    for _ in range(parameters.per_instruction):
        for candidate in draw.sample(candidates, len(candidates)):
            if len(made) == count:
                return made
            if taken.get(candidate.instruction.text, 0) >= parameters.per_instruction:
                continue
            seen = {pair.rejected for pair in made}
            wrong = next(
                (w for w in corruptions(candidate, candidates, draw) if w not in seen), None
            )
            if wrong is not None:
                taken[candidate.instruction.text] = taken.get(candidate.instruction.text, 0) + 1
                made.append(_corrupted(candidate, wrong, parameters))
    return made


def corruptions(
    candidate: Candidate, candidates: Sequence[Candidate], draw: random.Random
) -> Iterator[str]:
    """Wrong answers to `one`, the hardest first; each is wrong by its verifier."""
    others = [
        other.chosen
        for other in candidates
        if other.instruction.kind == candidate.instruction.kind and other.chosen != candidate.chosen
    ]
    words = candidate.chosen.split()
    shortened = [" ".join(words[:length]) for length in range(len(words) - 1, 0, -1)]
    for text in (*draw.sample(others, min(_TRIES, len(others))), *shortened):
        if candidate.instruction.reasons(text):
            yield text


def _sampled(
    candidate: Candidate, wrong: SystemResponse, parameters: DpoParameters
) -> PreferencePair:
    pair = _corrupted(candidate, wrong.response, parameters)
    return replace(
        pair,
        source=SAMPLED,
        reasons=wrong.reasons,
        sample=wrong.sample,
        temperature=parameters.temperature,
    )


def _corrupted(candidate: Candidate, rejected: str, parameters: DpoParameters) -> PreferencePair:
    instruction = candidate.instruction
    return PreferencePair(
        prompt=bare(instruction.text),
        chosen=candidate.chosen,
        rejected=rejected,
        instruction=instruction.text,
        type=instruction.type,
        kind=instruction.kind,
        source=CORRUPTED,
        chosen_source=candidate.source,
        reasons=instruction.reasons(rejected),
        sample=None,
        temperature=None,
        seed=parameters.seed,
        model=parameters.model,
    )


def summary(pairs: Sequence[PreferencePair]) -> dict[str, Any]:
    """How many pairs, by source of both sides, type and kind."""
    keys = ("source", "chosen_source", "type", "kind")
    counts = {key: sorted({str(getattr(pair, key)) for pair in pairs}) for key in keys}
    return {
        "pairs": len(pairs),
        "instructions": len({pair.instruction for pair in pairs}),
    } | {
        key: {name: sum(getattr(pair, key) == name for pair in pairs) for name in names}
        for key, names in counts.items()
    }
