"""Stage 1D: preference pairs from the SFT model's own failures, and DPO on them.

    python -m remote.stages.dpo          # in the run's work folder

Samples the SFT model on training instructions, hard kinds first, and pairs what the verifier calls
wrong with a verified answer, the model's own where it has one; trains the SFT adapter on with
itself as the reference; compares both on instructions that neither was trained on. Reads the
adapter of 1C, the data of 1B and the parameters at $PODCTL_PARAMETERS; leaves

    artifacts/preference_pairs.jsonl    prompt, chosen, rejected, and where both are from
    artifacts/dpo_comparison.json       SFT and DPO, greedy and sampled, with a verdict
    artifacts/dpo_responses.jsonl       the answers that were compared
    checkpoints/stage1_dpo/             the adapter, training_log.jsonl, hyperparameters.json,
                                        disjointness.json, training_of.json (what it is made of),
                                        every sample in samples.jsonl, and in
                                        failure_search.json how often the model failed

Each phase resumes where it was interrupted, if parameters and inputs are the same.
SIGTERM saves a checkpoint and exits with 143.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .common import layout
from .common.append_jsonl import ResumableRecords, write_atomically
from .common.decoding_pass import DecodingPass
from .common.failure import StageError
from .common.metrics import MetricsLog
from .common.oom_retry import free_gpu_memory
from .common.parameters import DpoParameters, read
from .common.precision import check_same
from .common.records import PreferencePair, SystemResponse
from .common.signals import ENDED_BY_SIGTERM, StopRequest
from .common.versions import environment
from .evaluation import dpo_comparison
from .instructions import leakage
from .instructions.instruction_set import InstructionSet
from .instructions.pairs import fingerprint
from .instructions.sets import load
from .model import base_model_check
from .model.adapters import BaseModel, described_lora, verified_sha256
from .model.answering import GenerationLimits, answer, decoding_passes
from .model.base_weights import begin
from .model.blank_answers import count_blanks
from .model.loading import load_tokenizer, resolve
from .text.prompt_style import CHAT
from .text.prompts import bare
from .training import preference_pairs, provenance
from .training.failure_search import ENOUGH, FailureSearch, failure_rates
from .training.preference_pairs import Candidate, TooFewFailures
from .training.training import (
    retry_with_half_batch,
    set_environment,
    silence_libraries,
    train,
    translate_out_of_memory,
    write_hyperparameters,
)
from .verification.instruction import Instruction


def main() -> int:
    set_environment()
    try:
        return run(read(DpoParameters))
    except StageError as error:
        sys.stderr.write(f"{error}\n")
        return 1


def run(parameters: DpoParameters) -> int:
    """Runs the stage; returns the exit status of the process. Raises: StageError."""
    out, began = Path(parameters.out), time.time()
    log = MetricsLog(out / layout.TRAINING_LOG)

    chosen = load(parameters.instructions, parameters.seed)
    data = Path(parameters.data)
    chat = parameters.template == CHAT
    if not leakage.check_training_data(data, chosen, out, chat=chat):
        return 0  # the verdict is certain: the criterion fails, and names the lines
    candidates = preference_pairs.candidates(data, chosen, chat=chat)
    base = BaseModel(resolve(parameters.model), parameters.quantize)
    begin(base.source, parameters.quantize, parameters.four_bit_copy, log.message)
    adapter = verified_sha256(Path(parameters.adapter), parameters.model)
    lora = described_lora(Path(parameters.adapter), parameters)
    print(f"{len(candidates)} training instructions with a verified answer", flush=True)

    log.message("importing torch, transformers and TRL")
    silence_libraries()
    trained = Path(parameters.adapter, layout.HYPERPARAMETERS)
    own = environment(parameters.quantize)["precision"]
    if message := check_same(trained, "stage1c", own, "stage1d"):
        log.message(message)
    stop = StopRequest()
    stop.listen()
    pairs = make_pairs(parameters, base, adapter, candidates, chosen, stop)
    if pairs is None:
        return ENDED_BY_SIGTERM
    if len(pairs) < parameters.least_pairs:
        return 0  # the verdict is certain: the criteria fail, and say why
    described: dict[str, Any] = {
        "adapter": adapter,
        "pairs_sha256": fingerprint(layout.PREFERENCE_PAIRS),
    }
    provenance.claim_folder(
        out,
        provenance.describe_training(parameters, adapter=adapter, pairs=described["pairs_sha256"]),
        log,
    )
    log.message(f"{len(pairs)} preference pairs; training")
    parameters, result = retry_with_half_batch(
        lambda attempt: fit(attempt, base, pairs, log, stop), parameters, log
    )
    compared = result["completed"] and compare(parameters, base, adapter, chosen, stop)
    result |= {"completed": bool(compared), "seconds": round(time.time() - began, 1)}
    described["lora"] = lora
    write_hyperparameters(parameters, described | preference_pairs.summary(pairs), result)
    print(json.dumps(result), flush=True)
    return 0 if result["completed"] else ENDED_BY_SIGTERM


def make_pairs(
    parameters: DpoParameters,
    base: BaseModel,
    adapter: str,
    candidates: Sequence[Candidate],
    chosen: InstructionSet,
    stop: StopRequest,
) -> list[PreferencePair] | None:
    """Samples until there are enough failures; writes and returns the pairs, None when stopped."""
    progress = MetricsLog(layout.DPO_PROGRESS)
    bounds = limits_of(parameters)
    answers = ResumableRecords(
        Path(parameters.out, layout.SAMPLES),
        settings(parameters, adapter, bounds),
    )
    progress.message("loading the SFT model to sample its failures")
    tokenizer = load_tokenizer(base.source, parameters.template)
    instructions = [candidate.instruction for candidate in candidates]
    every = (*instructions, *chosen.development, *chosen.held_out)
    base_model_check.check_tokens(tokenizer, [bare(instruction.text) for instruction in every])
    model = base.with_adapters({"sft": Path(parameters.adapter)})
    rates = failure_rates(Path(parameters.adapter, layout.DEVELOPMENT))
    search = FailureSearch(candidates, parameters, rates)

    def ask(asked: Sequence[Instruction], sample: int) -> list[SystemResponse] | None:
        way = DecodingPass("sft", parameters.temperature, sample)
        responses = answer(model, tokenizer, asked, [way], bounds, answers, progress, stop)
        return None if responses is None else responses[way]

    if not search.run(ask, chosen, progress.message):
        return None
    answers.finish([record.to_json() for record in search.records])
    outcome, sampled = ENOUGH, search.pairs()
    try:
        pairs = preference_pairs.fill_with_corruptions(sampled, search.own_first(), parameters)
    except TooFewFailures as error:
        outcome, pairs = f"too few: {error.what}", list(error.pairs)
        sys.stderr.write(f"{error}\nnothing was trained\n")
    write_atomically(
        layout.PREFERENCE_PAIRS, "".join(f"{json.dumps(pair.to_json())}\n" for pair in pairs)
    )
    document = search.summary(pairs, outcome)
    write_atomically(
        Path(parameters.out, layout.FAILURE_SEARCH), json.dumps(document, indent=1) + "\n"
    )
    progress.message(document["finding"])
    return pairs


def fit(
    parameters: DpoParameters,
    base: BaseModel,
    pairs: Sequence[PreferencePair],
    log: MetricsLog,
    stop: StopRequest,
) -> dict[str, Any]:
    """Trains and saves; returns the result. Raises: MemoryShortage, StageError."""
    from transformers import set_seed

    from .training.acceleration import accelerate
    from .training.callbacks import CheckpointCallback, MetricsCallback, StopCallback
    from .training.dpo_trainer import (
        TRAINED,
        check_first_batch,
        check_reference,
        make_trainer,
        save,
        to_preference,
    )

    set_seed(parameters.seed)
    log.message("preparing the SFT adapter to be trained on")
    tokenizer = load_tokenizer(base.source, parameters.template)
    tokens = [
        to_preference(
            pair, f"{layout.PREFERENCE_PAIRS}, line {line}", tokenizer, parameters.max_length
        )
        for line, pair in enumerate(pairs, 1)
    ]
    with translate_out_of_memory(parameters):
        model = base.with_adapters({TRAINED: Path(parameters.adapter)}, trainable=True)
        callbacks = [MetricsCallback(log), CheckpointCallback(), StopCallback(stop)]
        longest = max(
            len(pair.prompt) + max(len(pair.chosen), len(pair.rejected)) for pair in tokens
        )
        acceleration = accelerate(model, parameters, 2 * longest, packed=False)
        if acceleration.plan is not None:
            parameters = acceleration.plan.applied(parameters)
        trainer = make_trainer(model, tokenizer, tokens, parameters, callbacks, acceleration)
        print(f"the reference has {check_reference(trainer.model):,} weights", flush=True)
        better, worse = check_first_batch(trainer, tokenizer)
        print(f"the first pair: {better!r} over {worse!r}", flush=True)
        result = train(trainer, parameters, log) | {"acceleration": acceleration.to_json()}
        acceleration.undo()
    if result["completed"]:
        save(trainer, tokenizer, Path(parameters.out))
    return result


def compare(
    parameters: DpoParameters,
    base: BaseModel,
    adapter: str,
    chosen: InstructionSet,
    stop: StopRequest,
) -> bool:
    """Compares SFT and DPO on the same instructions; returns False when stopped."""
    progress = MetricsLog(layout.DPO_PROGRESS)
    free_gpu_memory()
    folders = dict(
        zip(dpo_comparison.SYSTEMS, map(Path, (parameters.adapter, parameters.out)), strict=True)
    )
    adapters = {"sft": adapter, "dpo": verified_sha256(folders["dpo"], parameters.model)}
    instructions = [*chosen.development, *chosen.held_out]
    progress.message(f"comparing SFT and DPO on {len(instructions)} instructions")
    wanted = decoding_passes(
        dpo_comparison.SYSTEMS, parameters.compare_samples, parameters.compare_temperature
    )
    bounds = limits_of(parameters)
    named = settings(parameters, adapters, bounds)
    answers = ResumableRecords(layout.DPO_RESPONSES, named)
    model, tokenizer = base.with_adapters(folders), load_tokenizer(base.source, parameters.template)
    responses = answer(model, tokenizer, instructions, wanted, bounds, answers, progress, stop)
    if responses is None:
        return False
    document = dpo_comparison.assess(
        responses, chosen, parameters.margin, layout.PREFERENCE_PAIRS
    ) | {
        "schema": 1,
        "instructions": chosen.name,
        "adapters": adapters,
        "blank": {
            name: count_blanks(
                (record.response, record.blank)
                for way, records in responses.items()
                if way.system == name
                for record in records
            )
            for name in dpo_comparison.SYSTEMS
        },
        "samples": parameters.compare_samples,
        "temperature": parameters.compare_temperature,
        "max_new_tokens": parameters.max_new_tokens,
    }
    write_atomically(layout.DPO_COMPARISON, json.dumps(document, indent=1) + "\n")
    answers.finish([record.to_json() for records in responses.values() for record in records])
    return True


def limits_of(parameters: DpoParameters) -> GenerationLimits:
    return GenerationLimits(
        parameters.max_new_tokens, parameters.ask_batch, parameters.seed, parameters.engine
    )


def settings(parameters: DpoParameters, adapters: Any, bounds: GenerationLimits) -> str:
    """A fingerprint of all that decides a response but instruction, system and temperature."""
    named = [parameters.model, parameters.quantize, adapters, vars(bounds)]
    named += [parameters.template] if parameters.template == CHAT else []
    return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()[:16]


if __name__ == "__main__":
    sys.exit(main())
