"""Stage 1E: base, SFT and DPO on the held-out set, compared in pairs.

    python -m remote.stages.evaluate          # in the run's work folder

The base model's answers are read from stage 1A. The adapters of 1C and 1D answer the
same bare prompts greedily, and a few times each at a temperature. Leaves

    artifacts/stage1_report.json       verdict, its rule, and every number beside it
    artifacts/stage1_responses.jsonl   every answer that was compared

An interrupted run resumes where it stopped; SIGTERM ends it with exit status 143.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .common import layout
from .common.append_jsonl import ResumableRecords, write_atomically
from .common.failure import StageError
from .common.metrics import MetricsLog
from .common.oom_retry import with_halved_batches
from .common.parameters import read
from .common.precision import check_same
from .common.records import ResponseRecord
from .common.signals import ENDED_BY_SIGTERM, StopRequest
from .evaluation.comparison import Rule
from .evaluation.control import read_control
from .evaluation.final_report import compute, find_overlap
from .evaluation.free_text import assess_free_text, instructions_of_free_text
from .evaluation.parameters import EvaluateParameters
from .evaluation.spending import read_spending
from .evaluation.training_history import read_history
from .instructions.instruction_set import InstructionSet
from .instructions.sets import load
from .model.adapters import active_adapter, verified_sha256
from .model.adapters import load as load_adapters
from .model.answering import GenerationLimits, answer, decoding_passes
from .model.base_weights import begin
from .model.blank_answers import count_blanks
from .model.loading import load_tokenizer, resolve
from .text.prompt_style import PLAIN

ADAPTERS = {"sft": layout.SFT_ADAPTER, "dpo": layout.DPO_ADAPTER}


def main() -> int:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        return run(read(EvaluateParameters))
    except StageError as error:
        sys.stderr.write(f"{error}\n")
        return 1


def run(parameters: EvaluateParameters) -> int:
    """Runs the stage; returns the exit status of the process. Raises: StageError."""
    from .common.versions import environment

    began, out = time.time(), Path(parameters.out)
    log = MetricsLog(out / layout.EVALUATION_PROGRESS.name)
    stop = StopRequest()
    stop.listen()

    chosen = load(parameters.instructions, parameters.seed)
    control = read_control(
        chosen.held_out,
        parameters.model,
        parameters.instructions,
        version=chosen.version,
        template=parameters.template,
    )
    overlap = find_overlap(chosen, chat=parameters.template != PLAIN)
    source = resolve(parameters.model)
    begin(source, parameters.quantize, parameters.four_bit_copy, log.message)
    check_precision(parameters, log)  # imports torch, while the weights are read
    adapters = {name: verified_sha256(path, parameters.model) for name, path in ADAPTERS.items()}
    history = read_history(ADAPTERS)

    log.message(
        f"{len(chosen.held_out)} held-out instructions of {chosen.name}; loading {parameters.model}"
    )
    warnings.filterwarnings("ignore", message="Could not find a config file in")  # "small"
    tokenizer = load_tokenizer(source, parameters.template)
    model = load_adapters(source, parameters.quantize, ADAPTERS)
    wanted = decoding_passes(tuple(ADAPTERS), parameters.samples, parameters.temperature)
    bounds = GenerationLimits(
        control.max_new_tokens, parameters.batch, parameters.seed, parameters.engine
    )
    stored = ResumableRecords(
        out / layout.STAGE1_RESPONSES.name, settings_of(parameters, adapters, bounds)
    )
    responses = answer(model, tokenizer, chosen.held_out, wanted, bounds, stored, log, stop)
    if responses is None:
        return ENDED_BY_SIGTERM

    log.message("comparing")
    answers = {**control.answers, **{way.system: responses[way] for way in wanted[: len(ADAPTERS)]}}
    rule = Rule(parameters.minimum_lift, parameters.margin)
    report = compute(answers, responses, chosen, overlap, rule) | {
        "schema": 1,
        "settings": dataclasses.asdict(parameters)
        | {"max_new_tokens": control.max_new_tokens, "instructions_version": chosen.version},
        "adapters": adapters,
        "blank": {
            system: count_blanks((record.response, record.blank) for record in records)
            for system, records in answers.items()
        },
        "training": history,
        "spending": read_spending(began),
        "environment": environment(parameters.quantize),
        "seconds": round(time.time() - began, 1),
    }
    publish(out, report)
    if parameters.critic:
        log.message("asking the base model about free text")
        report["free_text"] = judge_free_text(
            model, tokenizer, answers, chosen, parameters, log.message
        )
        publish(out, report)
    of_every = [*control.answers.values(), *responses.values()]
    stored.finish([record.to_json() for records in of_every for record in records])
    log.message(f"{report['verdict']}: {'; '.join(report['why'])}")
    return 0


def check_precision(parameters: EvaluateParameters, log: MetricsLog) -> None:
    """Control and adapters are of the base in this stage's precision. Raises: StageError."""
    from .common.versions import environment

    own = environment(parameters.quantize)["precision"]
    documents = {
        "stage1a": layout.BASELINE_ASSESSMENT,
        "stage1c": layout.SFT_ADAPTER / layout.HYPERPARAMETERS,
        "stage1d": layout.DPO_ADAPTER / layout.HYPERPARAMETERS,
    }
    for stage, path in documents.items():
        if message := check_same(path, stage, own, "stage1e"):
            log.message(message)


def settings_of(
    parameters: EvaluateParameters, adapters: Mapping[str, str], bounds: GenerationLimits
) -> str:
    """A fingerprint of all that decides a response."""
    named = [parameters.model, parameters.instructions, parameters.quantize, dict(adapters)]
    named += [] if parameters.template == PLAIN else [parameters.template]
    text = json.dumps([*named, dataclasses.asdict(bounds)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def judge_free_text(
    model: Any,
    tokenizer: Any,
    answers: Mapping[str, Sequence[ResponseRecord]],
    chosen: InstructionSet,
    parameters: EvaluateParameters,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """What the base model, without an adapter, says of free text whose form is right."""
    from .model.log_probabilities import log_probabilities

    def of_pairs(pairs: Sequence[tuple[str, str]]) -> list[float]:
        return with_halved_batches(
            lambda batch: log_probabilities(model, tokenizer, pairs, batch), parameters.batch, say
        )

    apart = instructions_of_free_text((*chosen.development, *chosen.train))
    with active_adapter(model, None):
        return assess_free_text(answers, chosen.held_out, apart, of_pairs)


def publish(out: Path, report: Mapping[str, Any]) -> None:
    """Writes the figures of the report; podctl renders its pages after the download."""
    write_atomically(
        out / layout.STAGE1_REPORT.name, json.dumps(report, indent=1, allow_nan=False) + "\n"
    )


if __name__ == "__main__":
    sys.exit(main())
