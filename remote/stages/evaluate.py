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
from .common.records import ResponseRecord
from .common.signals import ENDED_BY_SIGTERM, StopRequest
from .evaluation import comparison as evaluation
from .evaluation.chosen_answers import chosen_answers
from .evaluation.control import read_control
from .evaluation.free_text import assess_free_text, instructions_of_free_text
from .evaluation.parameters import EvaluateParameters
from .evaluation.spending import read_spending
from .evaluation.training_history import read_history
from .evaluation.trivial_answers import trivial_answers
from .instructions import leakage
from .instructions.instruction_set import InstructionSet
from .instructions.sets import load, same_answers
from .model.adapters import active_adapter, verified_sha256
from .model.adapters import load as load_adapters
from .model.answering import DecodingPass, GenerationLimits, answer, decoding_passes
from .model.loading import load_tokenizer, resolve

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
    began, out = time.time(), Path(parameters.out)
    log = MetricsLog(out / layout.EVALUATION_PROGRESS.name)
    stop = StopRequest()
    stop.listen()

    chosen = load(parameters.instructions, parameters.seed)
    control = read_control(
        chosen.held_out,
        parameters.model,
        parameters.instructions,
        parameters.quantize,
        version=chosen.version,
    )
    texts = [instruction.text for instruction in chosen.held_out]
    overlap = leakage.check_files(
        {layout.TRAINING_DATA: "run stage1b", layout.PREFERENCE_PAIRS: "run stage1d"},
        {"held_out": texts},
    ) | {"same_answers": same_answers(chosen)}
    source = resolve(parameters.model)
    adapters = {name: verified_sha256(path, parameters.model) for name, path in ADAPTERS.items()}
    history = read_history(ADAPTERS)

    log.message(f"{len(texts)} held-out instructions of {chosen.name}; loading {parameters.model}")
    warnings.filterwarnings("ignore", message="Could not find a config file in")  # "small"
    tokenizer = load_tokenizer(source)
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
    rule = evaluation.Rule(parameters.minimum_lift, parameters.margin, parameters.seed)
    trivial = trivial_answers(chosen.train, chosen.held_out)
    report = evaluation.assess(answers, shares(responses), overlap, rule, trivial) | {
        "schema": 1,
        "settings": dataclasses.asdict(parameters)
        | {"max_new_tokens": control.max_new_tokens, "instructions_version": chosen.version},
        "adapters": adapters,
        "chosen_answers": chosen_answers(layout.PREFERENCE_PAIRS),
        "samples": evaluation.samples(answers),
        "training": history,
        "spending": read_spending(began),
        "environment": environment(),
        "seconds": round(time.time() - began, 1),
    }
    report["finding"] = f"{report['finding']} {report['chosen_answers']['finding']}"
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


def settings_of(
    parameters: EvaluateParameters, adapters: Mapping[str, str], bounds: GenerationLimits
) -> str:
    """A fingerprint of all that decides a response."""
    named = [parameters.model, parameters.instructions, parameters.quantize, dict(adapters)]
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


def publish(out: Path, report: Mapping[str, Any]) -> None:
    """Writes the figures of the report; podctl renders its pages after the download."""
    write_atomically(
        out / layout.STAGE1_REPORT.name, json.dumps(report, indent=1, allow_nan=False) + "\n"
    )


def environment() -> dict[str, Any]:
    from .common.versions import device, versions

    return versions() | {"device": device()}


if __name__ == "__main__":
    sys.exit(main())
