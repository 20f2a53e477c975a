"""Stage 1C: supervised fine-tuning of the base model with LoRA.

    python -m remote.stages.sft          # in the run's work folder

Reads data/stage1/sft_training_data.jsonl and the parameters at $PODCTL_PARAMETERS; leaves the
adapter, training_log.jsonl and hyperparameters.json in checkpoints/stage1_sft/. Goes on from the
newest whole checkpoint when there is one. SIGTERM saves a checkpoint and ends with 143.
"""

from __future__ import annotations

import dataclasses
import gc
import json
import os
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .checkpoint import newest_whole, step_of
from .data import Pair, fingerprint, read_pairs, split, to_row
from .failure import StageError
from .metrics import MetricsLog
from .model import load_model, load_tokenizer, resolve
from .parameters import SftParameters, read

ENDED_BY_SIGTERM = 143


def main() -> int:
    os.environ.setdefault("OMP_NUM_THREADS", "1" if not _has_cuda_driver() else "8")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        return run(read(SftParameters))
    except StageError as error:
        sys.stderr.write(f"{error}\n")
        return 1


def run(parameters: SftParameters) -> int:
    """The stage from its input to its outputs; the process's exit status."""
    out = Path(parameters.out)
    log = MetricsLog(out / "training_log.jsonl")

    pairs = read_pairs(Path(parameters.data))
    train, held = split(pairs, parameters.eval_share, parameters.seed)
    source = resolve(parameters.model)
    print(f"{len(train)} pairs to train on, {len(held)} to evaluate on", flush=True)

    log.say("importing torch, transformers and TRL")
    from .lora import Interruption

    interruption = Interruption()
    interruption.listen()
    began = time.time()
    result, shortage = None, ""
    try:
        result = fit(parameters, source, train, held, log, interruption)
    except MemoryShortage as error:
        shortage = error.what  # the error itself would keep the model in memory
    if result is None:
        log.say(f"{shortage}: once more with half the batch and twice the accumulation")
        parameters = halved(parameters)
        gc.collect()
        _empty_cache()
        result = fit(parameters, source, train, held, log, interruption)
    result["seconds"] = round(time.time() - began, 1)

    record(out / "hyperparameters.json", parameters, len(train), len(held), result)
    print(json.dumps(result), flush=True)
    return 0 if result["completed"] else ENDED_BY_SIGTERM


class MemoryShortage(StageError):
    """The GPU's memory did not hold a step."""


def halved(parameters: SftParameters) -> SftParameters:
    """The same training in smaller bites. Raises: StageError when a bite is one row already."""
    if parameters.batch == 1:
        raise StageError(
            "the GPU's memory does not hold a single row",
            remedy="lower max_length or lora_rank, or accept only GPUs with more memory",
        )
    half = parameters.batch // 2
    rows = parameters.batch * parameters.accumulation
    return dataclasses.replace(parameters, batch=half, accumulation=max(1, rows // half))


def fit(
    parameters: SftParameters,
    source: str,
    train: Sequence[Pair],
    held: Sequence[Pair],
    log: MetricsLog,
    interruption: Any,
) -> dict[str, Any]:
    """Load, train, save the adapter; what came of it. Raises: MemoryShortage, StageError."""
    import torch
    from datasets import disable_progress_bars  # type: ignore[import-untyped]  # ships no types
    from transformers import set_seed
    from transformers.utils.logging import disable_progress_bar

    from .lora import Reporting, Saving, check_first_batch, make_trainer

    quiet: Any = disable_progress_bar
    quiet()  # a job's log is no terminal
    disable_progress_bars()
    warnings.filterwarnings("ignore", message=".*gradient_checkpointing.* is deprecated")
    warnings.filterwarnings("ignore", message="Could not find a config file in")  # "small"
    set_seed(parameters.seed)
    log.say(f"loading {parameters.model}")
    tokenizer = load_tokenizer(source)
    rows = [to_row(pair, tokenizer, parameters.max_length) for pair in train]
    held_rows = [to_row(pair, tokenizer, parameters.max_length) for pair in held]
    try:
        model = load_model(source, parameters.quantize)
        callbacks = [Reporting(log), Saving(), interruption]
        trainer = make_trainer(model, tokenizer, rows, held_rows, parameters, callbacks)
        learned = check_first_batch(trainer, tokenizer)
        print(f"learned of the first row: {learned!r}", flush=True)

        last = newest_whole(Path(parameters.out))
        log.keep_until(step_of(last) if last else 0)
        log.say(f"training from {last.name}" if last else "training from the base model")
        set_seed(parameters.seed)
        outcome = trainer.train(resume_from_checkpoint=str(last) if last else None)
    except torch.OutOfMemoryError as error:
        raise MemoryShortage(
            f"out of GPU memory at batch {parameters.batch} and max_length {parameters.max_length}",
            remedy="lower batch (and raise accumulation), max_length or lora_rank",
        ) from error
    completed = trainer.state.global_step >= trainer.state.max_steps
    if completed:
        trainer.save_model(parameters.out)
    return {
        "completed": completed,
        "step": trainer.state.global_step,
        "max_steps": trainer.state.max_steps,
        "resumed_from": last.name if last else None,
        "train_loss": outcome.training_loss,
        "best_eval_loss": trainer.state.best_metric,
        "best_checkpoint": Path(trainer.state.best_model_checkpoint or "").name or None,
        "parameters_trained": trained_parameters(trainer.model),
    }


def trained_parameters(model: Any) -> int:
    return sum(int(one.numel()) for one in model.parameters() if one.requires_grad)


def record(
    path: Path, parameters: SftParameters, trained: int, held: int, result: dict[str, Any]
) -> None:
    """What the run was, beside what it left: parameters, data, environment, result."""
    from .versions import device, versions

    document = {
        "schema": 1,
        "parameters": dataclasses.asdict(parameters),
        "data": {
            "path": parameters.data,
            "sha256": fingerprint(Path(parameters.data)),
            "trained_on": trained,
            "evaluated_on": held,
        },
        "environment": versions() | {"device": device()},
        "result": result,
    }
    beside = path.with_name(f".{path.name}.new")
    with beside.open("w", encoding="utf-8") as stream:
        stream.write(json.dumps(document, indent=1) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    beside.replace(path)


def _has_cuda_driver() -> bool:
    return Path("/proc/driver/nvidia/version").exists() or Path("/dev/nvidia0").exists()


def _empty_cache() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()


if __name__ == "__main__":
    sys.exit(main())
