"""Rates of GPU types for podctl's own stages: measured on an H200, else derived from it. Pure.

The table and its formula are gpu_rates.toml, which comes with podctl.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from controller.planner.gpu_memory import NF4_BYTES, Architecture, architecture

MEASURED, DERIVED = "measured", "derived"
REFERENCE_MODEL = "Qwen/Qwen2.5-32B"
COUNTS = (1, 2, 4, 8)  # GPUs of one pod


@dataclass(frozen=True)
class Rates:
    """Tokens per second of one GPU and one model; `step` and `update` in seconds."""

    sft: float
    dpo: float
    prefill: float
    decode: float
    step: float  # one decoding step with few rows
    sft_update: float  # one optimizer step, at least
    dpo_update: float
    reference_pass: float  # of DPO's reference on one batch, at least
    source: str  # measured | derived


@cache
def table() -> Mapping[str, Any]:
    """The table as it is shipped."""
    name = "gpu_rates.toml"
    return tomllib.loads(resources.files(__package__).joinpath(name).read_text("utf-8"))


def known(gpu: str) -> bool:
    """Whether the type, a catalog id, has a row."""
    return gpu in table()["types"]


def rates_of(gpu: str, model: Architecture, *, plain: bool = False) -> Rates:
    """Rates of a known type. `plain`: the stage does without podctl's engine."""
    data = table()
    types = data["types"]
    own, reference = types[gpu], types[data["reference"]]
    compute = own["tflops"] / reference["tflops"]
    bandwidth = own["gb_per_second"] / reference["gb_per_second"]
    size = max(1 / data["smallest_model"], relative_size(model))
    memory, share = own["memory_gb"], relative_size(model)
    train = _row(plain, memory, data["memory"]["training"] * share)
    answer = _row(plain, memory, data["memory"]["answering"] * share)
    return Rates(
        sft=train["sft"] * compute / size,
        dpo=train["dpo"] * compute / size,
        prefill=answer["prefill"] * compute / size,
        decode=answer["decode"] * bandwidth / size,
        step=answer["step"] / bandwidth * size,
        sft_update=train["sft_update"] / bandwidth * size,
        dpo_update=train["dpo_update"] / bandwidth * size,
        reference_pass=train["pass"] / bandwidth * size,
        source=MEASURED if gpu == data["reference"] and size == 1.0 and not plain else DERIVED,
    )


def _row(plain: bool, memory_gb: float, ample_gb: float) -> Mapping[str, float]:
    name = "plain" if plain else "ample" if memory_gb >= ample_gb else "tight"
    row: Mapping[str, float] = table()["measured"][name]
    return row


def relative_size(model: Architecture) -> float:
    """Weights that a token passes, as a share of those of the model that was measured."""
    reference = architecture(REFERENCE_MODEL)
    assert reference is not None
    return _passed(model) / _passed(reference)


def _passed(model: Architecture) -> int:
    return model.linear + model.words * model.hidden


def load_seconds(model: Architecture, quantized: bool) -> float:
    """Seconds to read the weights from the disk, in NF4 already or as published."""
    start, embedding = table()["start"], 2.0 * model.embedding
    if quantized:
        size = (NF4_BYTES * model.linear + embedding) / 1e9
        return float(size / start["load_nf4_gb_per_second"])
    return published_gb(model) / float(start["load_gb_per_second"])


def published_gb(model: Architecture) -> float:
    """Size of the weights as the hub has them, in bf16."""
    return 2.0 * (model.linear + model.embedding) / 1e9


def pod_seconds(download_gb: float) -> float:
    """What every pod takes once: boot, environment, and the download of a model."""
    pod = table()["pod"]
    return float(pod["boot"] + pod["environment"]) + first_job_seconds(download_gb)


def first_job_seconds(download_gb: float) -> float:
    """What the first job on a pod takes besides: a cold disk, and the download of a model."""
    pod = table()["pod"]
    return float(pod["first_process"] + download_gb / pod["download_gb_per_second"])


def efficiency(kind: str, count: int) -> float:
    """The share of the work of `count` GPUs that they do; `kind` is training or answering."""
    return float(table()["several_gpus"][kind][str(count)])
