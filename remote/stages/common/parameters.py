"""Reads and checks a stage's parameters, which podctl writes as JSON from podctl.toml."""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import os
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from ...contract import ENV_PARAMETERS, ENV_STAGE
from . import layout
from .failure import StageError
from .lora_parameters import ALL_LINEAR, LISTS, joined, problem_of_targets

T = TypeVar("T")

VLLM_RANK = 512  # of an adapter that vLLM answers with, at most


@dataclasses.dataclass(frozen=True)
class TrainingParameters:
    """Parameters of both trainings. `max_steps` above 0 overrides `epochs`."""

    model: str = "Qwen/Qwen2.5-32B"  # a hub id, a folder of the project, or "small"
    instructions: str = "english"  # or "small", or a folder of JSONL files
    data: str = layout.TRAINING_DATA.as_posix()
    out: str = ""
    learning_rate: float = 2e-4
    epochs: float = 3.0
    max_steps: int = 0
    batch: int = 4  # rows a device holds at once
    accumulation: int = 4  # batches an optimiser step adds up
    max_length: int = 2048  # tokens of one row
    warmup_share: float = 0.03
    save_steps: int = 100
    save_total_limit: int = 2
    log_steps: int = 5
    max_new_tokens: int = 128  # of a response when the model is asked
    ask_batch: int = 50  # prompts that are answered at once
    quantize: str = "auto"  # auto | nf4 | none
    four_bit_copy: bool = True  # keep the quantized base beside the model, for later stages
    engine: str = "auto"  # auto | plain: the libraries' own way | vllm: answers by vLLM
    template: str = "plain"  # plain | chat: the tokenizer's own template, for instruct models
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("batch", "accumulation", "max_length", "max_new_tokens", "ask_batch"):
            at_least(name, getattr(self, name), 1)
        for name in ("save_steps", "save_total_limit", "log_steps"):
            at_least(name, getattr(self, name), 1)
        for name in ("learning_rate", "epochs", "max_steps", "seed"):
            at_least(name, getattr(self, name), 0)
        below_one("warmup_share", self.warmup_share)
        if self.quantize not in ("auto", "nf4", "none"):
            raise invalid_parameter("quantize", 'must be "auto", "nf4" or "none"')
        check_engine(self.engine)
        check_template(self.template)
        if self.epochs == 0 and self.max_steps == 0:
            raise invalid_parameter("epochs", "must be above 0 unless max_steps is")


@dataclasses.dataclass(frozen=True)
class SftParameters(TrainingParameters):
    """Parameters of stage1c in podctl.toml."""

    out: str = layout.SFT_ADAPTER.as_posix()
    packing: str = "auto"  # several pairs in one row: auto (where there is CUDA) | always | never
    lora_rank: int = 16
    lora_alpha: int = 32
    lora_dropout: float = 0.0
    lora_targets: str = ALL_LINEAR  # or a list of layers' names, such as ["q_proj", "v_proj"]
    dora: bool = False  # directions and magnitudes of weights apart; slower
    rslora: bool = False  # scaled by alpha / sqrt(rank), not alpha / rank
    eval_share: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("lora_rank", self.lora_rank, 1)
        at_least("lora_alpha", self.lora_alpha, 1)
        below_one("lora_dropout", self.lora_dropout)
        check_targets(self.lora_targets)
        below_one("eval_share", self.eval_share)
        if self.engine == "vllm" and (self.dora or self.lora_rank > VLLM_RANK):
            raise invalid_parameter("engine", f"vllm takes ranks to {VLLM_RANK}, and no dora")
        if self.packing not in ("auto", "always", "never"):
            raise invalid_parameter("packing", 'must be "auto", "always" or "never"')


@dataclasses.dataclass(frozen=True)
class DpoParameters(TrainingParameters):
    """Parameters of stage1d in podctl.toml."""

    out: str = layout.DPO_ADAPTER.as_posix()
    adapter: str = layout.SFT_ADAPTER.as_posix()
    learning_rate: float = 5e-5
    epochs: float = 2.0
    pairs: int = 700  # wanted; sampling ends when there are so many
    least_pairs: int = 500  # with fewer nothing is trained, and a criterion fails
    per_instruction: int = 3  # pairs of one instruction at most
    rounds: int = 12  # samples of one instruction at most
    sample_budget: int = 8000  # answers that are sampled at most, of all instructions
    temperature: float = 0.8  # of those samples
    corruption: bool = True  # make up wrong answers where the model's own failures are too few
    beta: float = 0.1
    margin: float = 0.05  # by which greedy success may not be shown to be worse
    compare_samples: int = 4  # answers to each instruction when SFT and DPO are compared
    compare_temperature: float = 0.7
    # What the adapter of 1C is expected to be, and memory is estimated from; 0, "": whatever it is.
    lora_rank: int = 0
    lora_alpha: int = 0
    lora_targets: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in (
            "least_pairs",
            "per_instruction",
            "rounds",
            "compare_samples",
            "sample_budget",
        ):
            at_least(name, getattr(self, name), 1)
        at_least("pairs", self.pairs, self.least_pairs)
        for name in ("temperature", "compare_temperature", "beta"):
            if getattr(self, name) <= 0:
                raise invalid_parameter(name, "must be above 0")
        below_one("margin", self.margin)
        for name in ("lora_rank", "lora_alpha"):
            at_least(name, getattr(self, name), 0)
        if self.lora_targets:
            check_targets(self.lora_targets)


def read(kind: type[T], environment: dict[str, str] | None = None) -> T:
    """The parameters in the file that `ENV_PARAMETERS` names; defaults where it is not set.

    Raises: StageError for a file that is not a JSON object, an unknown name or a wrong type.
    """
    name = (os.environ if environment is None else environment).get(ENV_PARAMETERS)
    return parse(kind, Path(name).read_bytes() if name else b"{}")


def parse(kind: type[T], raw: bytes) -> T:
    """`raw` as an instance of the dataclass `kind`, every field checked."""
    try:
        values = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise invalid_parameter("the file", f"is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise invalid_parameter("the file", "is not a JSON object")
    hints = get_type_hints(kind)
    for name, value in values.items():
        if name not in hints:
            near = difflib.get_close_matches(name, hints, n=1)
            raise invalid_parameter(
                name, f"is unknown; {'did you mean ' + near[0] if near else 'remove it'}"
            )
        values[name] = _typed(name, hints[name], value)
    return kind(**values)


def _typed(name: str, kind: type, value: Any) -> Any:
    if name in LISTS and isinstance(value, list):
        value = joined(value)
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise invalid_parameter(name, f"must be of type {kind.__name__}, is {value!r:.80}")
    if isinstance(value, float) and not math.isfinite(value):
        raise invalid_parameter(name, "must be a finite number")
    return value


def at_least(name: str, value: float, least: float) -> None:
    """Raises: StageError when parameter `name` is less."""
    if value < least:
        raise invalid_parameter(name, f"is {value}, must be {least} or more")


def check_engine(engine: str) -> None:
    """Raises: StageError when parameter `engine` is none of its values."""
    if engine not in ("auto", "plain", "vllm"):
        raise invalid_parameter("engine", 'must be "auto", "plain" or "vllm"')


def check_template(template: str) -> None:
    """Raises: StageError when parameter `template` is none of its values."""
    if template not in ("plain", "chat"):
        raise invalid_parameter("template", 'must be "plain" or "chat"')


def check_targets(targets: str) -> None:
    """Raises: StageError when parameter `lora_targets` names no layers."""
    if problem := problem_of_targets(targets):
        raise invalid_parameter("lora_targets", problem)


def below_one(name: str, value: float) -> None:
    """Raises: StageError when parameter `name` is not a share."""
    if not 0 <= value < 1:
        raise invalid_parameter(name, "must be from 0 to below 1")


def invalid_parameter(name: str, problem: str) -> StageError:
    """The error about parameter `name`."""
    stage = os.environ.get(ENV_STAGE, "<stage>")
    return StageError(
        f"parameter {name} {problem}", remedy=f"change [stages.{stage}.parameters] in podctl.toml"
    )
