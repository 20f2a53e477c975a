"""Stage 1A, the control: what the base model does before anything is learned.

    python -m remote.stages.baseline

Every held-out instruction is answered twice, greedily: bare ("raw") and after solved examples
("few-shot"). `explicit` of them, spread over the types, are the assessment; all of them are what
stage 1E pairs with the trained models. Reads its parameters from the file $PODCTL_PARAMETERS;
leaves

    artifacts/baseline_assessment.json     success by type with intervals, sentinels, token checks
    artifacts/baseline_responses.jsonl     one held-out instruction a line, both answers judged
    artifacts/baseline_explanations.jsonl  the same of what no rule can judge; counted nowhere

A run that was cut off goes on where it was. A chat template anywhere ends the stage.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import random
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import sentinels
from .failure import StageError
from .instruction import CRITIC, TYPES, Instruction
from .instruction_sets import InstructionSet, load
from .metrics import MetricsLog
from .model import load_model, load_tokenizer, resolve
from .parameters import read
from .prompts import CompletionStylePrompts, bare
from .answers import Answers, write
from .scoring import Record, score, table
from .signals import ENDED_BY_SIGTERM, StopRequest

WAYS = ("raw", "few_shot")


@dataclass(frozen=True)
class BaselineParameters:
    """What stage1a measures with."""

    model: str = "Qwen/Qwen2.5-32B"  # a hub id, a folder of the project, or "small"
    instructions: str = "english"  # or "small", or a folder of JSONL files
    out: str = "artifacts"
    explicit: int = 100  # held-out instructions that the assessment reports on
    shots: int = 3  # solved examples in a few-shot prompt
    max_new_tokens: int = 128
    batch: int = 32  # prompts generated for at once
    quantize: str = "auto"  # auto | nf4 | none
    tolerated: int = sentinels.TOLERATED  # sentinel instructions that the base model may obey
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("explicit", 4), ("shots", 1), ("max_new_tokens", 8), ("batch", 1)):
            if getattr(self, name) < least:
                raise _wrong(name, f"must be {least} or more")
        if self.quantize not in ("auto", "nf4", "none"):
            raise _wrong("quantize", 'must be "auto", "nf4" or "none"')
        if self.tolerated < 0 or self.seed < 0:
            raise _wrong("tolerated and seed", "must be 0 or more")


def _wrong(name: str, problem: str) -> StageError:
    return StageError(
        f"parameter {name} {problem}", remedy="change [stages.stage1a.parameters] in podctl.toml"
    )


def main() -> int:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        return run(read(BaselineParameters))
    except StageError as error:
        sys.stderr.write(f"{error}\n")
        return 1


def run(parameters: BaselineParameters) -> int:
    """The stage from its parameters to its outputs; the process's exit status."""
    began = time.time()
    out = Path(parameters.out)
    log = MetricsLog(out / ".baseline_progress.jsonl")
    stop = StopRequest()
    stop.listen()

    chosen = load(parameters.instructions, parameters.seed)
    source = resolve(parameters.model)
    log.say(f"{len(chosen.held_out)} held-out instructions of {chosen.name}; loading the tokenizer")
    tokenizer = load_tokenizer(source)
    asked = (*chosen.held_out, *chosen.critic)
    prompts = make_prompts(chosen, asked, parameters)
    watched = sentinels.of(chosen.name)
    plain = [one.prompt for one in watched] + [text for way in prompts for text in way.values()]
    tokens = sentinels.check_tokens(tokenizer, plain)

    log.say(f"no template in {tokens['prompts']} prompts; loading {parameters.model}")
    warnings.filterwarnings("ignore", message="Could not find a config file in")  # "small"
    model = load_model(source, parameters.quantize)
    results = sentinels.check(model, tokenizer, watched)

    settings = settings_of(parameters, prompts)
    records = Answers(out / "baseline_responses.jsonl", settings)
    explained = Answers(out / "baseline_explanations.jsonl", settings)
    work = [*zip(asked, prompts, strict=True)]
    before = [*records.read(), *explained.read()]
    done = answer(model, tokenizer, work, parameters, records, before, log, stop)
    if len(done) < len(work):
        return ENDED_BY_SIGTERM

    explicit = set(spread(chosen.held_out, parameters.explicit, parameters.seed))
    rows = [done[one.text] | {"explicit": one.text in explicit} for one in asked]
    judged = [row for row in rows if row["kind"] != CRITIC]
    if len(judged) < len(rows):
        explained.finish([row for row in rows if row["kind"] == CRITIC])
    assessment = assess(judged, parameters.tolerated, results) | {
        "settings": dataclasses.asdict(parameters) | {"fingerprint": settings},
        "tokens": tokens,
        "explained_apart": len(rows) - len(judged),
        "environment": environment(),
        "seconds": round(time.time() - began, 1),
    }
    write(out / "baseline_assessment.json", json.dumps(assessment, indent=1) + "\n")
    records.finish(judged)
    log.say(summary(assessment))
    return 0


def make_prompts(
    chosen: InstructionSet, asked: Sequence[Instruction], parameters: BaselineParameters
) -> list[dict[str, str]]:
    """Both prompts of each instruction. Raises: StageError for a pool with too few examples."""
    if parameters.shots > len(chosen.pool):
        raise _wrong("shots", f"is above the {len(chosen.pool)} examples of the pool")
    sheets = CompletionStylePrompts(chosen.pool, parameters.shots, parameters.seed)
    return [{"raw": bare(one.text), "few_shot": sheets.render(one.text)} for one in asked]


def settings_of(parameters: BaselineParameters, prompts: Sequence[dict[str, str]]) -> str:
    """Identifies the answers: model, prompts and what bounds a response."""
    named = [parameters.model, parameters.quantize, parameters.max_new_tokens, *prompts]
    return hashlib.sha256(json.dumps(named).encode()).hexdigest()[:16]


def answer(
    model: Any,
    tokenizer: Any,
    work: Sequence[tuple[Instruction, dict[str, str]]],
    parameters: BaselineParameters,
    records: Answers,
    before: Sequence[Record],
    log: MetricsLog,
    stop: StopRequest,
) -> dict[str, Record]:
    """By instruction, both answers judged; those given `before` are kept. Less when stopped."""
    from .generation import generate

    wanted = {one.text for one, _ in work}
    done = {one["instruction"]: one for one in before if one["instruction"] in wanted}
    if done:
        log.say(f"{len(done)} instructions were answered before")
    open_ = [pair for pair in work if pair[0].text not in done]
    open_.sort(key=lambda pair: len(pair[1]["few_shot"]))
    for start in range(0, len(open_), parameters.batch):
        if stop.asked:
            break
        part = open_[start : start + parameters.batch]
        said = {
            way: generate(
                model,
                tokenizer,
                [prompts[way] for _, prompts in part],
                max_new_tokens=parameters.max_new_tokens,
                batch=parameters.batch,
            )
            for way in WAYS
        }
        new = [
            judge(one, prompts, {way: said[way][n] for way in WAYS})
            for n, (one, prompts) in enumerate(part)
        ]
        records.append(new)
        done |= {one["instruction"]: one for one in new}
        log.add({"step": len(done), "max_steps": len(work), "text": "answering"})
    return done


def judge(instruction: Instruction, prompts: dict[str, str], said: dict[str, str]) -> Record:
    """One line of the responses: the instruction, and for each way prompt, response, verdict."""
    scored = {way: score([instruction], [said[way]])[0] for way in WAYS}
    return {
        "instruction": instruction.text,
        "type": instruction.type,
        "kind": instruction.kind,
    } | {
        way: {
            "prompt": prompts[way],
            "response": said[way],
            "correct": scored[way]["correct"],
            "reasons": scored[way]["reasons"],
        }
        for way in WAYS
    }


def spread(held_out: Sequence[Instruction], count: int, seed: int) -> list[str]:
    """The texts of `count` held-out instructions, the types taking turns."""
    draw = random.Random(seed)  # noqa: S311 - not a secret
    by_type = {name: [one.text for one in held_out if one.type == name] for name in TYPES}
    for texts in by_type.values():
        draw.shuffle(texts)
    longest = max(map(len, by_type.values()))
    turns = [
        text for n in range(longest) for texts in by_type.values() for text in texts[n : n + 1]
    ]
    return turns[:count]


def assess(rows: Sequence[Record], tolerated: int, results: list[dict[str, Any]]) -> dict[str, Any]:
    """The assessment of judged rows and sentinel results, each verdict with its rule."""
    explicit = [row for row in rows if row["explicit"]]
    tables = {name: _tables(part) for name, part in (("explicit", explicit), ("held_out", rows))}
    counts = {name: tables["explicit"]["raw"]["types"][name]["n"] for name in TYPES}
    return {
        "schema": 1,
        **tables,
        "types_reported": {
            "every_type": all(counts.values()),
            "rule": "each of the four types has at least one explicit instruction",
            "instructions": counts,
        },
        "sentinels": sentinels.behaves(results, tolerated) | {"results": results},
    }


def _tables(rows: Sequence[Record]) -> dict[str, Any]:
    """For each way the table of success."""
    return {
        way: table({"type": row["type"], "kind": row["kind"]} | row[way] for row in rows)
        for way in WAYS
    }


def environment() -> dict[str, Any]:
    from .versions import device, versions

    return versions() | {"device": device()}


def summary(assessment: dict[str, Any]) -> str:
    """The result in a line."""
    cells = {way: assessment["explicit"][way]["overall"] for way in WAYS}
    words = [
        f"{way.replace('_', '-')} {cell['correct']}/{cell['n']} "
        f"({cell['wilson_low']:.0%} to {cell['wilson_high']:.0%})"
        for way, cell in cells.items()
    ]
    as_base = assessment["sentinels"]["as_base_model"]
    return f"{', '.join(words)}; sentinels {'as' if as_base else 'NOT as'} of a base model"


if __name__ == "__main__":
    sys.exit(main())
