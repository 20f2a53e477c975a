"""What SFT and DPO share around their trainer: memory, resuming, and the record of the run."""

from __future__ import annotations

import dataclasses
import json
import os
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..common import layout
from ..common.append_jsonl import write_atomically
from ..common.failure import StageError
from ..common.metrics import MetricsLog
from ..common.oom_retry import free_gpu_memory
from ..common.parameters import TrainingParameters
from ..instructions.pairs import fingerprint
from .checkpoint import is_finished, newest_complete, step_of

if TYPE_CHECKING:  # torch is heavy
    from .acceleration import Acceleration

P = TypeVar("P", bound=TrainingParameters)
T = TypeVar("T")


class MemoryShortage(StageError):
    """A training step ran out of GPU memory."""


def set_environment() -> None:
    """Sets the environment variables that torch reads when it is imported."""
    os.environ.setdefault("OMP_NUM_THREADS", "1" if not _has_cuda_driver() else "8")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def silence_libraries() -> None:
    """Turns off progress bars and known warnings: a job's log is not a terminal."""
    from datasets import disable_progress_bars  # type: ignore[import-untyped]  # ships no types

    disable_progress_bars()
    warnings.filterwarnings("ignore", message=".*gradient_checkpointing.* is deprecated")
    warnings.filterwarnings("ignore", message="Could not find a config file in")  # "small"


def retry_with_half_batch(fit: Callable[[P], T], parameters: P, log: MetricsLog) -> tuple[P, T]:
    """Calls `fit`, and once more with half the batch after a memory shortage.

    Where the batch was chosen by free memory, the plain way with the batch asked for is tried
    before. Returns the parameters that were used, and the result.
    """
    shortage = ""
    try:
        return parameters, fit(parameters)
    except MemoryShortage as error:
        shortage = error.what  # the error itself would keep the model in memory
    if parameters.engine != "plain" and _has_cuda_driver():
        log.message(f"{shortage}: once more the plain way")
        parameters = dataclasses.replace(parameters, engine="plain")
        free_gpu_memory()
        return retry_with_half_batch(fit, parameters, log)
    log.message(f"{shortage}: once more with half the batch and twice the accumulation")
    parameters = halved(parameters)
    free_gpu_memory()
    return parameters, fit(parameters)


def halved(parameters: P) -> P:
    """The parameters with half the batch and as many rows a step. Raises: StageError at batch 1."""
    if parameters.batch == 1:
        raise StageError(
            "the GPU's memory does not hold a single row",
            remedy="lower max_length or lora_rank, or accept only GPUs with more memory",
        )
    half = parameters.batch // 2
    rows = parameters.batch * parameters.accumulation
    return dataclasses.replace(parameters, batch=half, accumulation=max(1, rows // half))


@contextmanager
def translate_out_of_memory(parameters: TrainingParameters) -> Iterator[None]:
    """Raises MemoryShortage, which says what to lower, for an out-of-memory error of torch."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        raise MemoryShortage(
            f"out of GPU memory at batch {parameters.batch} and max_length {parameters.max_length}",
            remedy="lower batch (and raise accumulation), max_length or lora_rank",
        ) from error


def arguments(
    parameters: TrainingParameters, acceleration: Acceleration | None = None
) -> dict[str, Any]:
    """The trainer's arguments that SFT and DPO share."""
    import torch

    cuda = torch.cuda.is_available()
    plan = acceleration.plan if acceleration else None
    return {
        "output_dir": parameters.out,
        "learning_rate": parameters.learning_rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": parameters.warmup_share,
        "num_train_epochs": parameters.epochs,
        "max_steps": parameters.max_steps or -1,
        "per_device_train_batch_size": parameters.batch,
        "per_device_eval_batch_size": parameters.batch,
        "gradient_accumulation_steps": parameters.accumulation,
        "max_length": parameters.max_length,
        "gradient_checkpointing": cuda if plan is None else plan.recomputed > 0,
        "optim": "adamw_torch_fused" if cuda else "adamw_torch",
        "use_cpu": not cuda,
        "bf16": cuda,
        "dataloader_pin_memory": cuda,
        "save_steps": parameters.save_steps,
        "save_total_limit": parameters.save_total_limit,
        "logging_steps": parameters.log_steps,
        "logging_first_step": True,
        "logging_nan_inf_filter": False,  # a NaN is to be seen, not smoothed away
        "include_num_input_tokens_seen": "non_padding",
        "seed": parameters.seed,
        "data_seed": parameters.seed,
        "report_to": "none",
        "disable_tqdm": True,
    }


def train(trainer: Any, parameters: TrainingParameters, log: MetricsLog) -> dict[str, Any]:
    """Trains from the newest complete checkpoint; returns the result as JSON. `completed` is false
    after an interruption."""
    from transformers import set_seed

    last = newest_complete(Path(parameters.out))
    start = step_of(last) if last else 0
    log.truncate_after(start)
    log.message(f"training from {last.name}" if last else "training")
    set_seed(parameters.seed)
    began = time.time()
    if last and is_finished(last):  # the trainer would make one step more
        restore(trainer, last)
        loss = None
    else:
        loss = trainer.train(resume_from_checkpoint=str(last) if last else None).training_loss
    return {
        "completed": trainer.state.global_step >= trainer.state.max_steps,
        "step": trainer.state.global_step,
        "max_steps": trainer.state.max_steps,
        "resumed_from": last.name if last else None,
        "train_loss": loss if trainer.state.global_step > start else None,
        "training_seconds": round(time.time() - began, 1),
        "parameters_trained": sum(
            int(weight.numel()) for weight in trainer.model.parameters() if weight.requires_grad
        ),
    }


def restore(trainer: Any, last: Path) -> None:
    """Restores the state and the weights of a finished training from checkpoint `last`."""
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file
    from transformers import TrainerState

    trainer.state = TrainerState.load_from_json(str(last / "trainer_state.json"))
    best = trainer.state.best_model_checkpoint if trainer.args.load_best_model_at_end else None
    source = Path(best) if best and Path(best).is_dir() else last
    weights = load_file(str(source / layout.ADAPTER_WEIGHTS))
    set_peft_model_state_dict(trainer.model, weights, adapter_name="default")


def write_hyperparameters(
    parameters: TrainingParameters, data: dict[str, Any], result: dict[str, Any]
) -> dict[str, Any]:
    """Writes parameters, data, environment and result to hyperparameters.json; returns them."""
    from ..common.versions import environment

    document = {
        "schema": 1,
        "parameters": dataclasses.asdict(parameters),
        "data": {"path": parameters.data, "sha256": fingerprint(Path(parameters.data))} | data,
        "environment": environment(parameters.quantize),
        "result": result,
    }
    write_atomically(
        Path(parameters.out, layout.HYPERPARAMETERS), json.dumps(document, indent=1) + "\n"
    )
    return document


def _has_cuda_driver() -> bool:
    return Path("/proc/driver/nvidia/version").exists() or Path("/dev/nvidia0").exists()
