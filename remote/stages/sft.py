"""Stage 1C: supervised fine-tuning of the base model with LoRA.

    python -m remote.stages.sft          # in the run's work folder

Reads data/stage1/sft_training_data.jsonl and the parameters at $PODCTL_PARAMETERS; leaves in
checkpoints/stage1_sft/

    disjointness.json      whether the data overlaps the measured sets; if so, nothing is trained
    training_log.jsonl     loss by step
    adapter_model.safetensors and its configuration: the best checkpoint by evaluation loss
    training_of.json       parameters and data of the training, which a resumed run must share
    development.json       verified greedy success on the development set
    hyperparameters.json   what was trained on what, with what result

Resumes from the newest complete checkpoint of the same training, if any. SIGTERM saves a
checkpoint and exits with 143.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .common import layout
from .common.append_jsonl import write_atomically
from .common.failure import StageError
from .common.metrics import MetricsLog
from .common.parameters import SftParameters, read
from .common.signals import ENDED_BY_SIGTERM, StopRequest
from .evaluation.trivial_answers import trivial_tables
from .instructions import leakage
from .instructions.instruction_set import InstructionSet
from .instructions.pairs import MAKE, Pair, fingerprint, read_pairs, split, to_row
from .instructions.sets import load
from .instructions.training_records import count_conversions, describe_conversions
from .model import base_model_check
from .model.base_weights import begin
from .model.loading import load_model, load_tokenizer, resolve
from .text.prompt_style import CHAT
from .text.prompts import bare
from .training import provenance
from .training.dev_eval import measure
from .training.training import (
    retry_with_half_batch,
    set_environment,
    silence_libraries,
    train,
    translate_out_of_memory,
    write_hyperparameters,
)


def main() -> int:
    set_environment()
    try:
        return run(read(SftParameters))
    except StageError as error:
        sys.stderr.write(f"{error}\n")
        return 1


def run(parameters: SftParameters) -> int:
    """Runs the stage; returns the exit status of the process. Raises: StageError."""
    out = Path(parameters.out)
    log = MetricsLog(out / layout.TRAINING_LOG)

    chat = parameters.template == CHAT
    pairs = read_pairs(Path(parameters.data), chat=chat)
    if text := describe_conversions(count_conversions(Path(parameters.data), MAKE, chat=chat)):
        print(f"{parameters.data}: {text}", flush=True)
    chosen = load(parameters.instructions, parameters.seed)
    if not leakage.check_training_data(Path(parameters.data), chosen, out, chat=chat):
        return 0  # the verdict is certain: the criterion fails, and names the lines
    learned, held = split(pairs, parameters.eval_share, parameters.seed)
    source = resolve(parameters.model)
    begin(source, parameters.quantize, parameters.four_bit_copy, log.message)
    print(f"{len(learned)} pairs to train on, {len(held)} to evaluate on", flush=True)

    data = fingerprint(Path(parameters.data))
    provenance.claim_folder(out, provenance.describe_training(parameters, data=data), log)
    log.message("importing torch, transformers and TRL")
    silence_libraries()
    stop = StopRequest()
    stop.listen()
    began = time.time()
    parameters, result = retry_with_half_batch(
        lambda attempt: fit(attempt, source, learned, held, chosen, log, stop), parameters, log
    )
    result["seconds"] = round(time.time() - began, 1)

    write_hyperparameters(
        parameters, {"trained_on": len(learned), "evaluated_on": len(held)}, result
    )
    print(json.dumps(result), flush=True)
    return 0 if result["completed"] else ENDED_BY_SIGTERM


def fit(
    parameters: SftParameters,
    source: str,
    learned: Sequence[Pair],
    held: Sequence[Pair],
    chosen: InstructionSet,
    log: MetricsLog,
    stop: StopRequest,
) -> dict[str, Any]:
    """Loads, trains, saves and measures; returns the result. Raises: MemoryShortage, StageError."""
    from transformers import set_seed

    from .training.acceleration import accelerate
    from .training.callbacks import CheckpointCallback, MetricsCallback, StopCallback
    from .training.sft_trainer import check_first_batch, make_trainer, packs

    set_seed(parameters.seed)
    log.message(f"loading {parameters.model}")
    tokenizer = load_tokenizer(source, parameters.template)
    base_model_check.check_tokens(
        tokenizer, [bare(instruction.text) for instruction in chosen.development]
    )
    rows = [to_row(pair, tokenizer, parameters.max_length) for pair in learned]
    held_rows = [to_row(pair, tokenizer, parameters.max_length) for pair in held]
    with translate_out_of_memory(parameters):
        model = load_model(source, parameters.quantize)
        callbacks = [MetricsCallback(log), CheckpointCallback(), StopCallback(stop)]
        packed = packs(parameters)
        longest = max(len(row.tokens) for row in (*rows, *held_rows))
        acceleration = accelerate(
            model, parameters, parameters.max_length if packed else longest, packed=packed
        )
        if acceleration.plan is not None:
            parameters = acceleration.plan.applied(parameters)
        trainer = make_trainer(
            model, tokenizer, rows, held_rows, parameters, callbacks, acceleration
        )
        shown = check_first_batch(trainer, tokenizer)
        print(f"learned of the first pair: {shown!r}", flush=True)
        result = train(trainer, parameters, log) | {"acceleration": acceleration.to_json()}
        acceleration.undo()
    if not result["completed"]:
        return result
    trainer.save_model(parameters.out)

    log.message(f"answering {len(chosen.development)} development instructions")
    measured = measure(trainer.model, tokenizer, chosen.development, parameters, log, stop)
    if measured is None:
        return result | {"completed": False}
    measured["trivial"] = trivial_tables(chosen.train, chosen.development)
    write_atomically(
        Path(parameters.out, layout.DEVELOPMENT), json.dumps(measured, indent=1) + "\n"
    )
    return result | {
        "best_eval_loss": trainer.state.best_metric,
        "best_checkpoint": Path(trainer.state.best_model_checkpoint or "").name or None,
        "development_success": measured["overall"]["rate"],
    }


if __name__ == "__main__":
    sys.exit(main())
