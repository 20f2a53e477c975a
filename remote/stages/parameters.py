"""A stage's parameters: JSON from podctl.toml, checked before anything expensive starts."""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import os
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from ..contract import ENV_PARAMETERS
from .failure import StageError

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class SftParameters:
    """What stage1c trains with. `max_steps` above 0 goes before `epochs`."""

    model: str = "Qwen/Qwen2.5-32B"  # a hub id, a folder of the project, or "small"
    data: str = "data/stage1/sft_training_data.jsonl"
    out: str = "checkpoints/stage1_sft"
    learning_rate: float = 2e-4
    epochs: float = 3.0
    max_steps: int = 0
    batch: int = 4  # rows a device holds at once
    accumulation: int = 4  # batches an optimiser step adds up
    max_length: int = 2048  # tokens of one row
    warmup_share: float = 0.03
    lora_rank: int = 16
    lora_alpha: int = 32
    lora_dropout: float = 0.0
    save_steps: int = 100
    save_total_limit: int = 2
    log_steps: int = 5
    eval_share: float = 0.05
    quantize: str = "auto"  # auto | nf4 | none
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("batch", "accumulation", "max_length", "lora_rank", "lora_alpha"):
            _at_least(name, getattr(self, name), 1)
        for name in ("save_steps", "save_total_limit", "log_steps"):
            _at_least(name, getattr(self, name), 1)
        for name in ("learning_rate", "epochs", "max_steps", "seed", "lora_dropout"):
            _at_least(name, getattr(self, name), 0)
        for name in ("warmup_share", "eval_share", "lora_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise _wrong(name, "must be from 0 to below 1")
        if self.quantize not in ("auto", "nf4", "none"):
            raise _wrong("quantize", 'must be "auto", "nf4" or "none"')
        if self.epochs == 0 and self.max_steps == 0:
            raise _wrong("epochs", "must be above 0 unless max_steps is")


def read(kind: type[T], environment: dict[str, str] | None = None) -> T:
    """The parameters that the contract's variable points at; defaults where it is not set.

    Raises: StageError for a file that is no JSON object, an unknown name or a wrong type.
    """
    name = (os.environ if environment is None else environment).get(ENV_PARAMETERS)
    return parse(kind, Path(name).read_bytes() if name else b"{}")


def parse(kind: type[T], raw: bytes) -> T:
    """`raw` as an instance of the dataclass `kind`, every field checked."""
    try:
        values = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise _wrong("the file", f"is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise _wrong("the file", "is not a JSON object")
    hints = get_type_hints(kind)
    for name, value in values.items():
        if name not in hints:
            near = difflib.get_close_matches(name, hints, n=1)
            raise _wrong(name, f"is unknown; {'did you mean ' + near[0] if near else 'remove it'}")
        values[name] = _typed(name, hints[name], value)
    return kind(**values)


def _typed(name: str, kind: type, value: Any) -> Any:
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise _wrong(name, f"must be of type {kind.__name__}, is {value!r:.80}")
    if isinstance(value, float) and not math.isfinite(value):
        raise _wrong(name, "must be a finite number")
    return value


def _at_least(name: str, value: float, least: float) -> None:
    if value < least:
        raise _wrong(name, f"is {value}, must be {least} or more")


def _wrong(name: str, problem: str) -> StageError:
    return StageError(
        f"parameter {name} {problem}", remedy="change [stages.<stage>.parameters] in podctl.toml"
    )
