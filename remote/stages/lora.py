"""Fine-tuning with LoRA through TRL: configuration, trainer, and what happens at each step."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from datasets import Dataset  # type: ignore[import-untyped]  # ships no types
from peft import LoraConfig
from transformers import PrinterCallback, TrainerCallback
from trl import SFTConfig, SFTTrainer  # type: ignore[attr-defined]  # exported lazily

from .checkpoint import settle
from .data import IGNORED, Row
from .failure import StageError
from .metrics import MetricsLog, announce
from .parameters import SftParameters


def make_trainer(
    model: Any,
    tokenizer: Any,
    train: Sequence[Row],
    held: Sequence[Row],
    parameters: SftParameters,
    callbacks: list[TrainerCallback],
) -> SFTTrainer:
    """A trainer over rows that are tokens already; adapters name `parameters.model` as base."""
    # A path of this pod would mean nothing at home: adapters and cards name the model instead.
    model.name_or_path = model.config._name_or_path = parameters.model
    trainer = SFTTrainer(
        model=model,
        args=make_config(parameters, bool(held)),
        train_dataset=_dataset(train),
        eval_dataset=_dataset(held) if held else None,
        processing_class=tokenizer,
        peft_config=LoraConfig(
            r=parameters.lora_rank,
            lora_alpha=parameters.lora_alpha,
            lora_dropout=parameters.lora_dropout,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        ),
        callbacks=callbacks,
    )
    # TRL casts adapters of a quantised base to bf16, where a step of 2e-4 mostly rounds away, and
    # a resumed one comes back as fp32: full precision from the start is better and the same.
    adapted: Any = trainer.model
    for weight in (one for one in adapted.parameters() if one.requires_grad):
        weight.data = weight.data.float()
    trainer.remove_callback(PrinterCallback)  # `Reporting` says the same, shorter
    return trainer


def make_config(parameters: SftParameters, evaluate: bool) -> SFTConfig:
    cuda = torch.cuda.is_available()
    cadence = "steps" if evaluate else "no"
    return SFTConfig(
        output_dir=parameters.out,
        learning_rate=parameters.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=parameters.warmup_share,
        num_train_epochs=parameters.epochs,
        max_steps=parameters.max_steps or -1,
        per_device_train_batch_size=parameters.batch,
        per_device_eval_batch_size=parameters.batch,
        gradient_accumulation_steps=parameters.accumulation,
        max_length=parameters.max_length,
        packing=False,
        gradient_checkpointing=cuda,
        use_cpu=not cuda,
        bf16=cuda,
        dataloader_pin_memory=cuda,
        save_steps=parameters.save_steps,
        save_total_limit=parameters.save_total_limit,
        eval_strategy=cadence,
        eval_steps=parameters.save_steps,
        load_best_model_at_end=evaluate,
        metric_for_best_model="eval_loss" if evaluate else None,
        greater_is_better=False if evaluate else None,
        logging_steps=parameters.log_steps,
        logging_first_step=True,
        logging_nan_inf_filter=False,  # a NaN is to be seen, not smoothed away
        include_num_input_tokens_seen="non_padding",
        seed=parameters.seed,
        data_seed=parameters.seed,
        report_to="none",
        disable_tqdm=True,
    )


def _dataset(rows: Sequence[Row]) -> Dataset:
    return Dataset.from_list(
        [
            {
                "input_ids": list(row.tokens),
                "labels": list(row.labels),
                "attention_mask": [1] * len(row.tokens),
            }
            for row in rows
        ]
    )


def check_first_batch(trainer: SFTTrainer, tokenizer: Any) -> str:
    """What is learned of the first row of the first batch; every row ends with end of text.

    Raises: StageError when a prompt would be learned or nothing would be.
    """
    batch = next(iter(trainer.get_train_dataloader()))
    learned = ""
    for tokens, labels in zip(batch["input_ids"], batch["labels"], strict=True):
        kept = labels != IGNORED
        trained = labels[kept].tolist()
        whole = trained == tokens[kept].tolist() and not bool(kept[0])
        if not trained or trained[-1] != tokenizer.eos_token_id or not whole:
            raise StageError(
                "the labels of the first batch are not just completion and end of text",
                remedy="this is a defect of podctl or of another version of TRL: report it",
            )
        learned = learned or tokenizer.decode(trained)
    return learned


# ruff: noqa: ARG002 - the methods of a TrainerCallback have the arguments that the trainer passes


class Reporting(TrainerCallback):
    """Appends the trainer's figures to the metrics, and refuses to go on without a finite loss."""

    def __init__(self, log: MetricsLog) -> None:
        self._log = log
        self._began, self._seen = time.monotonic(), 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        self._began, self._seen = time.monotonic(), _tokens(state)

    def on_log(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        figures = more.get("logs") or {}
        loss = figures.get("loss", figures.get("eval_loss"))
        if loss is None:
            return
        if not math.isfinite(loss):
            raise StageError(
                f"the loss is {loss} at step {state.global_step}: training has diverged",
                remedy="lower learning_rate, or raise warmup_share; the last checkpoint is kept",
            )
        seconds = max(1e-9, time.monotonic() - self._began)
        record = {
            "step": state.global_step,
            "max_steps": state.max_steps,
            "loss": figures.get("loss"),
            "eval_loss": figures.get("eval_loss"),
            "lr": figures.get("learning_rate"),
            "grad_norm": figures.get("grad_norm"),
            "epoch": state.epoch,
            "tokens": _tokens(state),
            "tokens_per_s": round((_tokens(state) - self._seen) / seconds, 1),
            "time": time.time(),
        }
        self._log.add({name: _finite(value) for name, value in record.items()})
        kind = "loss" if "loss" in figures else "eval loss"
        print(f"step {state.global_step}/{state.max_steps} {kind} {loss:.4f}", flush=True)


def _tokens(state: Any) -> int:
    return int(state.num_input_tokens_seen or 0)


def _finite(value: Any) -> Any:
    """`value` as JSON holds it; a figure that is no number is left out, not the record."""
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


class Saving(TrainerCallback):
    """A checkpoint counts as finished when its weights are finite and its bytes are on disk."""

    def on_save(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        weights = (one for one in more["model"].parameters() if one.requires_grad)
        checkpoint = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        if not all(bool(torch.isfinite(one).all()) for one in weights):
            raise StageError(
                f"weights that are no numbers at step {state.global_step}",
                remedy=f"lower learning_rate; remove {checkpoint} before going on",
            )
        settle(checkpoint)
        announce(checkpoint)


class Interruption(TrainerCallback):
    """SIGTERM means: finish this step, save a checkpoint, and end."""

    def __init__(self) -> None:
        self.asked = False

    def listen(self) -> None:
        """Take SIGTERM over; a second one ends the process at once."""
        signal.signal(signal.SIGTERM, self._heard)

    def _heard(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        if self.asked:
            control.should_save = True
            control.should_training_stop = True
