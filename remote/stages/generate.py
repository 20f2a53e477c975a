"""Stage 1B: instruction data, written by the base model itself.

    python -m remote.stages.generate          # in the run's work folder

Each training instruction is put below solved examples, and the base model answers, up to
`samples_per_instruction` times, until filters and verifier leave an answer. Wrong ones are kept
only with verified_only = false, where the right ones are too few. Reads its parameters from the
file $PODCTL_PARAMETERS; leaves in data/stage1/

    sft_training_data.jsonl   the pairs, each with the prompt that was used and its verdicts
    data_quality.json, .md    what was kept and removed, with samples, rates and overlaps
    generation.jsonl          every response that was generated

Every response is on disk before the next batch starts, so an interrupted run resumes there, with
the same result. SIGTERM ends the process at once with 143.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from .common import layout
from .common.append_jsonl import write_atomically
from .common.failure import StageError
from .common.metrics import MetricsLog, announce
from .common.parameters import invalid_parameter, read
from .common.records import GeneratedRecord
from .common.signals import ENDED_BY_SIGTERM
from .datagen import quality
from .datagen.collection import Collection
from .datagen.journal import Journal
from .datagen.parameters import GenerateParameters
from .datagen.selection import Judged, Policy, Selection
from .datagen.writer import Writer
from .instructions.instruction_set import InstructionSet
from .instructions.sets import load
from .model.loading import resolve
from .text.near_duplicates import overlaps
from .text.prompt_style import PLAIN
from .text.prompts import solved
from .verification.instruction import Instruction

MOST_REASONS = 3  # named when too little was kept


def main() -> int:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    signal.signal(signal.SIGTERM, _end)
    try:
        parameters = read(GenerateParameters)
        return run(parameters, load(parameters.instructions, parameters.seed))
    except StageError as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    """Ends at once: every complete response is on disk already."""
    os.write(2, b"stopped; generated responses are kept, and the next start resumes from them\n")
    os._exit(ENDED_BY_SIGTERM)


def run(parameters: GenerateParameters, chosen: InstructionSet) -> int:
    """Runs the stage; returns the exit status of the process.

    Raises: StageError, after everything is written, when fewer than `at_least` pairs are kept.
    """
    out = Path(parameters.out)
    log = MetricsLog(out / layout.GENERATION_PROGRESS.name)
    if parameters.shots > len(chosen.pool):
        raise invalid_parameter("shots", f"is above the {len(chosen.pool)} examples of the pool")
    train, set_aside = separate(chosen)
    log.message(f"{len(train)} instructions of {chosen.name}; {len(set_aside)} are set aside")
    writer = Writer(parameters, resolve(parameters.model), train, chosen.pool, log)

    journal = Journal(out / layout.GENERATION_JOURNAL.name, settings_of(parameters, chosen.pool))
    if journal.aside is not None:
        log.message(f"responses generated with other settings were moved to {journal.aside}")
    if journal.entries:
        log.message(f"resuming from {len(journal.entries)} responses that were generated before")
    announce(out / layout.GENERATION_JOURNAL.name)

    selection = Selection(policy_of(parameters, chosen))
    collection = Collection(parameters, train, chosen.pool, writer, journal, selection, log)
    ended = collection.run()
    unverified = 0 if parameters.verified_only else selection.fill_up(parameters.at_least)
    kept = in_order(selection.kept, train)

    records = [record(judged, parameters).to_json() for judged in kept]
    write_atomically(
        out / layout.TRAINING_DATA.name,
        "".join(json.dumps(record, allow_nan=False) + "\n" for record in records),
    )
    report = {
        "schema": 1,
        "pairs": len(kept),
        "right": right_share(kept) | {"unverified": unverified},
        "wanted": parameters.wanted,
        "at_least": parameters.at_least,
        "enough": len(kept) >= parameters.at_least,
        "ended": ended,
        "counts": counts(chosen, set_aside, selection),
        "set_aside": set_aside[: quality.SAMPLES],
        **quality.assess(selection.judged, kept, parameters.seed),
        "disjointness": quality.disjointness(out / layout.TRAINING_DATA.name, chosen)
        if kept
        else None,
        "cost": cost(journal),
        "settings": settings(parameters),
    }
    write_atomically(
        out / layout.DATA_QUALITY.name, json.dumps(report, indent=1, allow_nan=False) + "\n"
    )
    log.message(summary(report))
    if not report["enough"]:
        raise too_few(report, out / layout.DATA_QUALITY.name)
    return 0


def separate(chosen: InstructionSet) -> tuple[list[Instruction], list[dict[str, Any]]]:
    """The training instructions, and a description of those that overlap the measured sets."""
    measured = [*chosen.held_out, *chosen.development]
    overlapping = overlaps(
        [instruction.text for instruction in chosen.train],
        [instruction.text for instruction in measured],
    )
    aside = [
        {
            "instruction": chosen.train[instruction.candidate].text,
            "measured": measured[instruction.other].text,
            "part": "held_out" if instruction.other < len(chosen.held_out) else "development",
            "similarity": round(instruction.similarity, 3),
        }
        for instruction in overlapping
    ]
    near = {instruction.candidate for instruction in overlapping}
    return [
        instruction for place, instruction in enumerate(chosen.train) if place not in near
    ], aside


def policy_of(parameters: GenerateParameters, chosen: InstructionSet) -> Policy:
    margin = parameters.critic_margin if parameters.critic else None
    measured = (*chosen.held_out, *chosen.development)
    return Policy(measured, verified_only=True, critic_margin=margin)


def settings_of(parameters: GenerateParameters, pool: Sequence[Instruction]) -> dict[str, Any]:
    """All that decides a response; a journal of other settings is not used."""
    sheets = "".join(solved(instruction) for instruction in pool)
    names = ("model", "quantize", "shots", "temperature", "max_new_tokens", "critic", "seed")
    digest = hashlib.sha256(sheets.encode()).hexdigest()
    chat = {} if parameters.template == PLAIN else {"template": parameters.template}
    return {name: getattr(parameters, name) for name in names} | {"pool": digest} | chat


def right_share(kept: Sequence[Judged]) -> dict[str, Any]:
    """How many of the kept responses the verifier calls right; the rest is learned all the same."""
    right = sum(not judged.reasons for judged in kept)
    return {"correct": right, "n": len(kept), "share": right / len(kept) if kept else None}


def in_order(kept: Sequence[Judged], train: Sequence[Instruction]) -> list[Judged]:
    """`kept` in the order of `train`, then by attempt."""
    place = {instruction.text: n for n, instruction in enumerate(train)}
    return sorted(kept, key=lambda k: (place[k.candidate.instruction.text], k.candidate.attempt))


def record(judged: Judged, parameters: GenerateParameters) -> GeneratedRecord:
    """One line of the training data, with how the pair was made."""
    candidate = judged.candidate
    instruction = candidate.instruction
    return GeneratedRecord(
        instruction=instruction.text,
        type=instruction.type,
        kind=instruction.kind,
        response=candidate.response,
        correct=not judged.reasons,
        reasons=judged.reasons,
        prompt=candidate.prompt,
        seed=candidate.seed,
        attempt=candidate.attempt,
        model=parameters.model,
        temperature=parameters.temperature,
        finished=candidate.finished,
        tokens=candidate.tokens,
        filters=judged.verdicts,
        checks=instruction.checks,
        critic_margin=candidate.margin,
    )


def counts(
    chosen: InstructionSet, set_aside: Sequence[dict[str, Any]], selection: Selection
) -> dict[str, Any]:
    tried = {judged.candidate.instruction.text for judged in selection.judged}
    kept = {judged.candidate.instruction.text for judged in selection.kept}
    return {
        "instructions": len(chosen.train),
        "set_aside": len(set_aside),
        "instructions_tried": len(tried),
        "instructions_kept": len(kept),
        "attempts": len(selection.judged),
        "kept": len(selection.kept),
        "removed": len(selection.judged) - len(selection.kept),
    }


def cost(journal: Journal) -> dict[str, Any]:
    """Seconds and tokens of all generation, those of earlier starts included."""
    tokens = sum(entry.tokens for entry in journal.entries.values())
    seconds = journal.seconds
    speed = tokens / seconds if seconds else 0.0
    return {
        "responses": len(journal.entries),
        "seconds": round(seconds, 1),
        "tokens": tokens,
        "tokens_per_second": round(speed, 1),
    }


def settings(parameters: GenerateParameters) -> dict[str, Any]:
    from .common.versions import environment

    return dataclasses.asdict(parameters) | {"environment": environment(parameters.quantize)}


def summary(report: dict[str, Any]) -> str:
    """The result in one line."""
    rate = report["success"]["kept"]["overall"]["rate"]
    correct = "nothing" if rate is None else f"{rate:.0%} of them"
    return (
        f"{report['pairs']} pairs kept of {report['counts']['attempts']} responses, {correct} "
        f"correct; {report['ended']}; {report['cost']['tokens_per_second']:.0f} tokens/s"
    )


def too_few(report: dict[str, Any], samples: Path) -> StageError:
    """The error for too few pairs; it names the filters that removed most."""
    gone = {
        name: figures["removed"]
        for name, figures in report["filters"].items()
        if figures["removed"]
    }
    most = sorted(gone, key=lambda name: -gone[name])[:MOST_REASONS]
    why = ", ".join(f"{name} {gone[name]}" for name in most) or "nothing was removed"
    return StageError(
        f"{report['pairs']} pairs are kept of {report['counts']['attempts']} responses, "
        f"at_least is {report['at_least']} ({report['ended']}; removed: {why})",
        remedy=(
            f"look at the samples in {samples}; then raise max_attempts, max_minutes or (for "
            "cut_off) max_new_tokens, for wrong ones samples_per_instruction; add training "
            "instructions, lower at_least, or set verified_only = false to fill up with wrong ones"
        ),
    )


if __name__ == "__main__":
    sys.exit(main())
