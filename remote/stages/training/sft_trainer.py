"""Supervised fine-tuning with LoRA through TRL: configuration, trainer, and what is learned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import torch
from datasets import Dataset  # type: ignore[import-untyped]  # ships no types
from peft import LoraConfig
from transformers import PrinterCallback, TrainerCallback
from trl import SFTConfig, SFTTrainer  # type: ignore[attr-defined]  # exported lazily

from ..common.failure import StageError
from ..common.lora_parameters import targets_of
from ..common.parameters import SftParameters
from ..instructions.pairs import IGNORED, Row
from .acceleration import Acceleration, PartialRecomputation
from .training import arguments


def make_trainer(
    model: Any,
    tokenizer: Any,
    train: Sequence[Row],
    held: Sequence[Row],
    parameters: SftParameters,
    callbacks: list[TrainerCallback],
    acceleration: Acceleration | None = None,
) -> SFTTrainer:
    """A trainer over tokenised rows; its adapter names `parameters.model` as its base.

    With `acceleration` the trainer's model is changed until that is undone.
    """
    # A path on this pod means nothing elsewhere: adapters and cards name the model instead.
    model.name_or_path = model.config._name_or_path = parameters.model
    trainer = SFTTrainer(
        model=model,
        args=make_config(parameters, bool(held), acceleration),
        train_dataset=_dataset(train),
        eval_dataset=_dataset(held) if held else None,
        processing_class=tokenizer,
        peft_config=LoraConfig(
            r=parameters.lora_rank,
            lora_alpha=parameters.lora_alpha,
            lora_dropout=parameters.lora_dropout,
            target_modules=targets_of(parameters.lora_targets),
            use_dora=parameters.dora,
            use_rslora=parameters.rslora,
            task_type="CAUSAL_LM",
        ),
        callbacks=callbacks,
    )
    # TRL casts adapters of a quantised base to bf16, where a step of 2e-4 mostly rounds away, and
    # a resumed one comes back as fp32: full precision from the start is better and the same.
    adapted: Any = trainer.model
    for weight in (weight for weight in adapted.parameters() if weight.requires_grad):
        weight.data = weight.data.float()
    trainer.remove_callback(PrinterCallback)  # `Reporting` says the same, shorter
    if acceleration is not None:
        acceleration.apply(adapted)
        if acceleration.plan and acceleration.plan.recomputed:
            trainer.add_callback(PartialRecomputation(acceleration.plan.recomputed))
    return trainer


def make_config(
    parameters: SftParameters, evaluate: bool, acceleration: Acceleration | None = None
) -> SFTConfig:
    cadence = "steps" if evaluate else "no"
    return SFTConfig(
        **arguments(parameters, acceleration),
        packing=packs(parameters),
        eval_strategy=cadence,
        eval_steps=parameters.save_steps,
        load_best_model_at_end=evaluate,
        metric_for_best_model="eval_loss" if evaluate else None,
        greater_is_better=False if evaluate else None,
    )


def packs(parameters: SftParameters) -> bool:
    """Whether a row holds several pairs, each of which attends to nothing but itself."""
    if parameters.packing == "auto":
        return torch.cuda.is_available()
    return parameters.packing == "always"


def _dataset(rows: Sequence[Row]) -> Dataset:
    return Dataset.from_list(
        [{"input_ids": list(row.tokens), "labels": list(row.labels)} for row in rows]
    )


def check_first_batch(trainer: SFTTrainer, tokenizer: Any) -> str:
    """The learned text of the first pair of the first batch; every pair ends with end of text.

    Raises: StageError where the labels include a prompt, or nothing.
    """
    batch = next(iter(trainer.get_train_dataloader()))
    learned = ""
    for tokens, labels in _pairs_of(batch):
        learned_mask = labels != IGNORED
        trained = labels[learned_mask].tolist()
        whole = trained == tokens[learned_mask].tolist() and not bool(learned_mask[0])
        if not trained or trained[-1] != tokenizer.eos_token_id or not whole:
            raise StageError(
                "the labels of the first batch are not just completion and end of text",
                remedy="report it: a defect of podctl, or an incompatible version of TRL",
            )
        learned = learned or tokenizer.decode(trained)
    return learned


def _pairs_of(batch: Any) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """(tokens, labels) of each pair; in a packed row one begins wherever the position is 0."""
    positions = batch.get("position_ids")
    for place, (tokens, labels) in enumerate(zip(batch["input_ids"], batch["labels"], strict=True)):
        if positions is None:
            yield tokens, labels
            continue
        begins = (positions[place] == 0).nonzero().flatten().tolist()
        for start, end in pairwise([*begins, len(tokens)]):
            yield tokens[start:end], labels[start:end]
