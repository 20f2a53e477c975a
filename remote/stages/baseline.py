"""Stage 1A, the control: measures the base model before any training.

    python -m remote.stages.baseline

Every held-out instruction is answered twice, greedily: bare ("raw") and after solved examples
("few-shot"). `explicit` of them, spread over the types, are the assessment; all of them are what
stage 1E pairs with the trained models. Reads its parameters from the file $PODCTL_PARAMETERS;
leaves

    artifacts/baseline_assessment.json     success by type with intervals, sentinels, token checks
    artifacts/baseline_responses.jsonl     one held-out instruction a line, both answers judged
    artifacts/baseline_explanations.jsonl  the same for what no rule can judge; in no figure

An interrupted run resumes where it stopped. A chat template in any prompt is an error.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .common import layout
from .common.append_jsonl import ResumableRecords, write_atomically
from .common.failure import StageError
from .common.metrics import MetricsLog
from .common.oom_retry import with_halved_batches
from .common.parameters import invalid_parameter, read
from .common.records import WAYS, BaselineRecord
from .common.signals import ENDED_BY_SIGTERM, StopRequest
from .evaluation.baseline_assessment import ask_critic, assess, select_explicit, summary
from .evaluation.baseline_parameters import BaselineParameters
from .evaluation.trivial_answers import trivial_tables
from .instructions.instruction_set import InstructionSet
from .instructions.sets import load
from .model import base_model_check
from .model.base_weights import begin
from .model.blank_answers import blank_cause
from .model.loading import load_model, load_tokenizer, resolve
from .text.prompt_style import PLAIN
from .text.prompts import CompletionStylePrompts, bare
from .verification import scoring
from .verification.instruction import CRITIC, Instruction

if TYPE_CHECKING:  # torch is heavy
    from .model.sampling import Generated

PromptedInstruction = tuple[Instruction, dict[str, str]]  # with its prompts, by way


def main() -> int:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        return run(read(BaselineParameters))
    except StageError as error:
        sys.stderr.write(f"{error}\n")
        return 1


def run(parameters: BaselineParameters) -> int:
    """Runs the stage; returns the exit status of the process. Raises: StageError."""
    from .common.versions import environment

    began = time.time()
    out = Path(parameters.out)
    log = MetricsLog(out / layout.BASELINE_PROGRESS.name)
    stop = StopRequest()
    stop.listen()

    chosen = load(parameters.instructions, parameters.seed)
    source = resolve(parameters.model)
    begin(source, parameters.quantize, parameters.four_bit_copy, log.message)
    log.message(
        f"{len(chosen.held_out)} held-out instructions of {chosen.name}; loading the tokenizer"
    )
    tokenizer = load_tokenizer(source, parameters.template)
    instructions = (*chosen.held_out, *chosen.critic)
    prompts = make_prompts(chosen, instructions, parameters)
    chat = parameters.template != PLAIN
    watched = () if chat else base_model_check.sentinels_for(chosen.name)
    plain = [sentinel.prompt for sentinel in watched] + [
        text for way in prompts for text in way.values()
    ]
    tokens = base_model_check.check_tokens(tokenizer, plain)

    log.message(f"no template in {tokens['prompts']} prompts; loading {parameters.model}")
    warnings.filterwarnings("ignore", message="Could not find a config file in")  # "small"
    model = load_model(source, parameters.quantize)
    results = with_halved_batches(
        lambda rows: base_model_check.run_sentinels(
            model, tokenizer, watched, rows, parameters.engine
        ),
        parameters.batch,
        log.message,
    )

    settings = settings_of(parameters, prompts)
    records = ResumableRecords(out / layout.BASELINE_RESPONSES.name, settings)
    explained = ResumableRecords(out / layout.BASELINE_EXPLANATIONS.name, settings)
    work = [*zip(instructions, prompts, strict=True)]
    earlier = map(BaselineRecord.from_json, [*records.read(), *explained.read()])
    before = [record for record in earlier if record is not None]
    done = answer(model, tokenizer, work, parameters, records, before, log, stop)
    if len(done) < len(work):
        return ENDED_BY_SIGTERM

    explicit = set(select_explicit(chosen.held_out, parameters.explicit, parameters.seed))
    rows = [
        replace(done[instruction.text], explicit=instruction.text in explicit)
        for instruction in instructions
    ]
    judged = [row for row in rows if row.kind != CRITIC]
    others = [row for row in rows if row.kind == CRITIC]
    explanations, others = ask_critic(
        model, tokenizer, chosen.pool, others, parameters.batch, log.message
    )
    assessment = assess(judged, parameters.tolerated, results) | {
        "settings": dataclasses.asdict(parameters)
        | {"fingerprint": settings, "instructions_version": chosen.version},
        "tokens": tokens,
        "trivial": trivial_tables(chosen.train, chosen.held_out),
        "explanations": explanations,
        "environment": environment(parameters.quantize),
        "seconds": round(time.time() - began, 1),
    }
    if others:
        explained.finish([row.to_json() for row in others])
    write_atomically(out / layout.BASELINE_ASSESSMENT.name, json.dumps(assessment, indent=1) + "\n")
    records.finish([row.to_json() for row in judged])
    log.message(summary(assessment))
    return 0


def make_prompts(
    chosen: InstructionSet, instructions: Sequence[Instruction], parameters: BaselineParameters
) -> list[dict[str, str]]:
    """Both prompts of each instruction. Raises: StageError for a pool with too few examples."""
    if parameters.shots > len(chosen.pool):
        raise invalid_parameter("shots", f"is above the {len(chosen.pool)} examples of the pool")
    sheets = CompletionStylePrompts(chosen.pool, parameters.shots, parameters.seed)
    return [
        {"raw": bare(instruction.text), "few_shot": sheets.render(instruction.text)}
        for instruction in instructions
    ]


def settings_of(parameters: BaselineParameters, prompts: Sequence[dict[str, str]]) -> str:
    """A fingerprint of all that decides a response: model, prompts and token limit."""
    named = [parameters.model, parameters.quantize, parameters.max_new_tokens, *prompts]
    named += [] if parameters.template == PLAIN else [parameters.template]
    return hashlib.sha256(json.dumps(named).encode()).hexdigest()[:16]


def answer(
    model: Any,
    tokenizer: Any,
    work: Sequence[PromptedInstruction],
    parameters: BaselineParameters,
    records: ResumableRecords,
    before: Sequence[BaselineRecord],
    log: MetricsLog,
    stop: StopRequest,
) -> dict[str, BaselineRecord]:
    """Both answers to each instruction, by its text; resumes from `before`. Fewer when stopped."""
    wanted = {instruction.text: instruction for instruction, _ in work}
    done = {
        record.instruction: rejudge(wanted[record.instruction], record)
        for record in before
        if record.instruction in wanted
    }
    if done:
        log.message(f"{len(done)} instructions were answered before")
    open_ = [pair for pair in work if pair[0].text not in done]
    open_.sort(key=lambda pair: len(pair[1]["few_shot"]))
    if open_:
        _Answers(open_, parameters, records, len(work), log, done).generate(model, tokenizer, stop)
    return done


@dataclass
class _Answers:
    """Both answers to each instruction of `open_`, stored as soon as both are there."""

    open_: Sequence[PromptedInstruction]
    parameters: BaselineParameters
    records: ResumableRecords
    total: int
    log: MetricsLog
    done: dict[str, BaselineRecord]
    _waiting: dict[int, dict[str, Generated]] = field(default_factory=dict)  # by way
    _tokens: int = 0
    _began: float = field(default_factory=time.monotonic)

    def generate(self, model: Any, tokenizer: Any, stop: StopRequest) -> None:
        from .model.sampling import Generation, Request

        parameters = self.parameters
        generation = Generation(
            model,
            tokenizer,
            parameters.max_new_tokens,
            parameters.batch,
            parameters.engine,
            self.log.message,
        )
        order = [
            (place, way)
            for start in range(0, len(self.open_), parameters.batch)
            for way in WAYS
            for place in range(start, min(start + parameters.batch, len(self.open_)))
        ]
        requests = [Request(self.open_[place][1][way]) for place, way in order]

        def store(responses: list[tuple[int, Generated]]) -> None:
            self._store([(*order[number], response) for number, response in responses])

        generation.run(requests, store, lambda: stop.asked)

    def _store(self, responses: Sequence[tuple[int, str, Generated]]) -> None:
        new = []
        for place, way, response in responses:
            self._tokens += response.tokens
            responses_of = self._waiting.setdefault(place, {})
            responses_of[way] = response
            if len(responses_of) == len(WAYS):
                new.append(_judged(*self.open_[place], self._waiting.pop(place)))
        if not new:
            return
        self.records.append(record.to_json() for record in new)
        self.done.update((record.instruction, record) for record in new)
        speed = self._tokens / (time.monotonic() - self._began)
        self.log.add(
            {"step": len(self.done), "max_steps": self.total, "text": "answering"}
            | {"tokens_per_second": round(speed, 1)}
        )


def _judged(
    instruction: Instruction, prompts: Mapping[str, str], responses: Mapping[str, Generated]
) -> BaselineRecord:
    texts = {way: response.text for way, response in responses.items()}
    causes = {
        way: blank_cause(response.text, response.finished, response.tokens)
        for way, response in responses.items()
    }
    return judge(instruction, prompts, texts, causes)


def judge(
    instruction: Instruction,
    prompts: Mapping[str, str],
    responses: Mapping[str, str],
    blank: Mapping[str, str | None],
) -> BaselineRecord:
    """Both responses to an instruction with their verdicts; prompts, responses and why they are
    `blank` are by way."""
    raw, few_shot = (
        replace(scoring.judge(instruction, responses[way], prompts[way]), blank=blank[way])
        for way in WAYS
    )
    return BaselineRecord(raw, few_shot)


def rejudge(instruction: Instruction, record: BaselineRecord) -> BaselineRecord:
    """A record of an earlier run, judged by today's verifier."""
    answers = {way: record.answer(way) for way in WAYS}
    return judge(
        instruction,
        {way: answer.prompt or "" for way, answer in answers.items()},
        {way: answer.response for way, answer in answers.items()},
        {way: answer.blank for way, answer in answers.items()},
    )


if __name__ == "__main__":
    sys.exit(main())
