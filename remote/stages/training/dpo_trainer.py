"""DPO of an adapter with a frozen copy of itself as the reference, through TRL.

TRL keeps a frozen copy of the adapter that it is given, under the name "ref", and takes the
reference's log-probabilities with it: the reference is the SFT adapter, not the bare base.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset  # type: ignore[import-untyped]  # ships no types
from transformers import PrinterCallback, TrainerCallback
from trl import DPOConfig, DPOTrainer  # type: ignore[attr-defined]  # exported lazily

from ..common.failure import StageError
from ..common.parameters import DpoParameters
from ..common.records import PreferencePair
from ..instructions.pairs import Pair, to_row
from ..text.prompts import completion
from .acceleration import Acceleration, PartialRecomputation
from .training import arguments

TRAINED, REFERENCE = "default", "ref"  # adapter names that TRL prescribes
# The sigmoid loss alone raises margins by making both answers unlikely, and breaks the model.
LOSSES, WEIGHTS = ["sigmoid", "sft"], [1.0, 1.0]


@dataclass(frozen=True)
class Preference:
    """One pair in tokens; both completions end with end of text."""

    prompt: tuple[int, ...]
    chosen: tuple[int, ...]
    rejected: tuple[int, ...]


def to_preference(pair: PreferencePair, where: str, tokenizer: Any, longest: int) -> Preference:
    """The tokens of prompt and completions, each tokenised apart as in supervised training.

    `where` names the pair in errors. Raises: StageError for a pair of over `longest` tokens, or in
    whose text a special token or a chat template is.
    """
    prompt = pair.prompt
    sides = [
        to_row(Pair(prompt, completion(response), where), tokenizer, longest)
        for response in (pair.chosen, pair.rejected)
    ]
    length = next(place for place, label in enumerate(sides[0].labels) if label >= 0)
    return Preference(sides[0].tokens[:length], sides[0].tokens[length:], sides[1].tokens[length:])


class _Trainer(DPOTrainer):
    """Takes rows that are tokens already."""

    def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
        return dataset


def make_trainer(
    model: Any,
    tokenizer: Any,
    pairs: Sequence[Preference],
    parameters: DpoParameters,
    callbacks: list[TrainerCallback],
    acceleration: Acceleration | None = None,
) -> DPOTrainer:
    """A trainer of adapter "default" of `model`; its reference is a copy of that adapter.

    With `acceleration` the trainer's model is changed until that is undone.
    """
    # A path on this pod means nothing elsewhere: adapters and cards name the model instead.
    base = model.get_base_model()
    base.name_or_path = base.config._name_or_path = parameters.model
    trainer = _Trainer(
        model=model,
        args=make_config(parameters, acceleration),
        train_dataset=_dataset(pairs),
        processing_class=tokenizer,
        callbacks=callbacks,
    )
    # TRL casts the trained adapter of a quantised base to bf16, in which small steps round away
    # and which is not quite the reference any more: full precision, from the reference, is both.
    for name, reference in _weights(trainer.model, REFERENCE):
        weight = _parameter(trainer.model, name.replace(f".{REFERENCE}.", f".{TRAINED}."))
        weight.data = reference.data.float().clone()
        reference.data = reference.data.float()
    trainer.remove_callback(PrinterCallback)  # `Reporting` says the same, shorter
    if acceleration is not None:
        acceleration.apply(trainer.model)
        if acceleration.plan and acceleration.plan.recomputed:
            trainer.add_callback(PartialRecomputation(acceleration.plan.recomputed))
    if parameters.engine != "plain":
        compute_reference(trainer)
    return trainer


def compute_reference(trainer: DPOTrainer) -> None:
    """Computes the reference's log-probabilities of all pairs, once; training reads them after.

    TRL can do so too, but before the adapters have full precision, and after hashing the base.
    """
    dataset: Any = trainer.train_dataset
    model: Any = trainer.model
    compute: Any = trainer.compute_ref_log_probs
    order = sorted(range(len(dataset)), key=lambda place: _tokens(dataset[place]))
    chosen, rejected = [0.0] * len(order), [0.0] * len(order)
    size = 2 * trainer.args.per_device_train_batch_size
    model.eval()
    for start in range(0, len(order), size):
        places = order[start : start + size]
        batch = trainer.data_collator([dataset[place] for place in places])
        inputs = {name: value.to(trainer.args.device) for name, value in batch.items()}
        sides = compute(model, inputs)
        for column, values in zip((chosen, rejected), sides, strict=True):
            for place, value in zip(places, values.float().tolist(), strict=True):
                column[place] = value
    trainer.train_dataset = dataset.add_column("ref_chosen_logps", chosen).add_column(
        "ref_rejected_logps", rejected
    )
    trainer.precompute_ref_logps = True


def _tokens(row: Any) -> int:
    return len(row["prompt_ids"]) + max(len(row["chosen_ids"]), len(row["rejected_ids"]))


def make_config(parameters: DpoParameters, acceleration: Acceleration | None = None) -> DPOConfig:
    return DPOConfig(
        **arguments(parameters, acceleration),
        beta=parameters.beta,
        loss_type=LOSSES,
        loss_weights=WEIGHTS,
    )


def _dataset(pairs: Sequence[Preference]) -> Dataset:
    return Dataset.from_list(
        [
            {
                "prompt_ids": list(pair.prompt),
                "chosen_ids": list(pair.chosen),
                "rejected_ids": list(pair.rejected),
            }
            for pair in pairs
        ]
    )


def check_reference(model: Any) -> int:
    """The number of the reference's weights, after checking that they equal the adapter's.

    Raises: StageError when there is none, when it differs, or when it is an adapter that was never
    trained, which would be the bare base.
    """
    count, trained = 0, False
    for name, reference in _weights(model, REFERENCE):
        trained_weight = _parameter(model, name.replace(f".{REFERENCE}.", f".{TRAINED}."))
        if reference.requires_grad or not torch.equal(trained_weight, reference):
            raise _defect(f"the reference's {name} is not the adapter's, or would be trained")
        count += reference.numel()
        trained = trained or ("lora_B" in name and bool(reference.any()))
    if not count:
        raise _defect("there is no reference adapter")
    if not trained:
        raise StageError(
            "the SFT adapter changes nothing: each of its B matrices is zero",
            remedy="train it: run stage1c with a learning_rate above 0",
        )
    return count


def check_first_batch(trainer: DPOTrainer, tokenizer: Any) -> tuple[str, str]:
    """The completions of the first pair of the first batch. Raises: StageError.

    The loss must cover both completions with their end of text, and nothing of the prompt.
    """
    batch = next(iter(trainer.get_train_dataloader()))
    shown = []
    for tokens, mask in zip(batch["input_ids"], batch["completion_mask"], strict=True):
        compared = tokens[mask.bool()].tolist()
        if not compared or compared[-1] != tokenizer.eos_token_id or bool(mask[0]):
            raise _defect("what is compared in the first batch is not just the two completions")
        shown.append(tokenizer.decode(compared))
    return shown[0], shown[len(shown) // 2]  # the first half is chosen, the second rejected


def save(trainer: DPOTrainer, tokenizer: Any, folder: Path) -> None:
    """The trained adapter alone, without its reference, and the tokenizer."""
    model: Any = trainer.model
    model.save_pretrained(str(folder), selected_adapters=[TRAINED])
    tokenizer.save_pretrained(str(folder))


def _weights(model: Any, adapter: str) -> list[tuple[str, torch.nn.Parameter]]:
    return [(name, weight) for name, weight in model.named_parameters() if f".{adapter}." in name]


def _parameter(model: Any, name: str) -> torch.nn.Parameter:
    parameter: torch.nn.Parameter = model.get_parameter(name)
    return parameter


def _defect(what: str) -> StageError:
    return StageError(
        what, remedy="report it: a defect of podctl, or an incompatible version of TRL"
    )
