"""The memory estimate: what was measured on an H200, and what is refused before it is rented."""

from __future__ import annotations

from typing import Any

import pytest

from controller.planner.gpu_memory import (
    Generation,
    Training,
    architecture,
    generation_gib,
    needed_gb,
    stage_gib,
    training_gib,
    weights_gib,
)
from controller.planner.pod_spec import Shape, hardware
from controller.providers.base import Offer
from controller.providers.offers import why_not
from jobs.catalog import load_stages
from jobs.stage import Criterion, HardwareNeed, Stage

BIG = "Qwen/Qwen2.5-32B"
BUILT_IN = ("stage1a", "stage1b", "stage1c", "stage1d", "stage1e")
RTX = Offer("gpu", "NVIDIA GeForce RTX 4090", "RTX 4090", 1, 24, 0.69, "HIGH", "SECURE")


def stage(**parameters: Any) -> Stage:
    return Stage(
        name="train",
        title="Train",
        command=("python", "-m", "remote.stages.sft"),
        outputs=("out/**",),
        criteria=(Criterion(kind="exists", path="out/x"),),
        hours=1.0,
        max_hours=2.0,
        parameters={"model": BIG, "lora_rank": 16} | parameters,
    )


@pytest.mark.parametrize(
    ("quantize", "rows", "tokens", "checkpointing", "measured"),
    [
        ("nf4", 2, 102, True, 21),
        ("nf4", 16, 102, True, 24),
        ("nf4", 1, 2048, True, 25),
        ("nf4", 2, 2048, True, 30),
        ("nf4", 4, 2048, True, 41),
        ("nf4", 1, 2048, False, 80),
        ("none", 1, 2048, True, 68),
        ("none", 1, 2048, False, 124),
    ],
)
def test_training_agrees_with_what_was_measured(
    quantize: str, rows: int, tokens: int, checkpointing: bool, measured: float
) -> None:
    """Peak GiB of LoRA training on the 32B, as an H200 reported it."""
    shape = architecture(BIG)
    assert shape is not None

    found = training_gib(shape, quantize, Training(rows, tokens, 16, checkpointing))

    assert found == pytest.approx(measured, rel=0.05)


@pytest.mark.parametrize(("quantize", "measured"), [("nf4", 17.9), ("none", 61.0)])
def test_weights_agree_with_what_was_measured(quantize: str, measured: float) -> None:
    """The base model alone, in 4 bits with bf16 embeddings and in bf16."""
    shape = architecture(BIG)
    assert shape is not None

    assert weights_gib(shape, quantize) == pytest.approx(measured, rel=0.02)


@pytest.mark.parametrize(
    ("name", "billions"),
    [("0.5B", 0.49), ("1.5B", 1.54), ("3B", 3.09), ("7B", 7.62), ("14B", 14.8), ("72B", 72.7)],
)
def test_sizes_are_those_that_are_published(name: str, billions: float) -> None:
    """The shape of every Qwen2.5 model adds up to the number in its card."""
    shape = architecture(f"Qwen/Qwen2.5-{name}")
    assert shape is not None

    assert (shape.linear + shape.embedding) / 1e9 == pytest.approx(billions, rel=0.02)


def test_what_is_too_small_is_refused_with_both_sizes() -> None:
    """Two rows of 2,048 tokens: 30 GiB, which are 33 GB as GPUs are sold."""
    need = hardware([stage(batch=2, max_length=2048)], Shape("image"))

    assert why_not(RTX, need) == "needs about 33 GB; RTX 4090 24 GB: no"


def test_parameters_decide() -> None:
    """More rows, longer rows and no quantisation need more; shorter rows fit a smaller GPU."""
    small = needed_gb(stage(batch=1, max_length=256, ask_batch=8))
    usual = needed_gb(stage(batch=2, max_length=2048))

    assert small <= 24 < usual
    assert needed_gb(stage(batch=4, max_length=2048)) > usual
    assert needed_gb(stage(batch=2, max_length=2048, quantize="none")) > 70
    assert needed_gb(stage(batch=2, max_length=2048, beta=0.1)) > usual


def test_more_responses_at_once_need_a_larger_cache() -> None:
    """Keys and values of every response are held beside the weights."""
    shape = architecture(BIG)
    assert shape is not None

    one, many = (generation_gib(shape, "nf4", Generation(rows, 600)) for rows in (1, 64))

    assert 18 < one < 19
    assert many - one > 9


def test_the_small_model_needs_next_to_nothing() -> None:
    """Every stage with it fits the smallest GPU."""
    stages = load_stages({}, "small")

    assert {needed_gb(stages[name]) for name in BUILT_IN} == {1}


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_plan_fits_the_types_that_it_names(name: str) -> None:
    """Qwen2.5-32B, as the stages come: too much for 24 GB, not too much for an L40S."""
    assert 24 < needed_gb(load_stages({})[name]) <= 48


def test_an_unknown_model_falls_back_to_what_the_stage_says() -> None:
    """Nothing is estimated; the stage's number for that case holds."""
    stages = load_stages({}, "someone/their-model")

    assert stage_gib(stages["stage1c"]) is None
    assert needed_gb(stages["stage1c"]) == stages["stage1c"].hardware.unknown_model_gb == 44


def test_a_users_own_program_is_not_estimated() -> None:
    """What another program does with the same parameters is not known here."""
    own = stage().model_copy(
        update={"command": ("python", "mine.py"), "hardware": HardwareNeed(min_gpu_memory_gb=40)}
    )

    assert needed_gb(own) == 40


def test_the_users_own_minimum_always_holds() -> None:
    """Of estimate and minimum the larger."""
    need = {"hardware": {"min_gpu_memory_gb": 80}}

    assert needed_gb(load_stages({"stage1c": need}, "small")["stage1c"]) == 80


def test_stages_that_share_a_pod_get_the_most_demanding_ones_memory() -> None:
    """The pod must do for all of them, whatever their order."""
    less, more = stage(batch=1, max_length=512), stage(batch=4, max_length=2048)

    found = [hardware(both, Shape("image")) for both in ((less, more), (more, less))]

    assert {one.min_gpu_memory_gb for one in found} == {needed_gb(more)}


def test_a_cpu_stage_needs_no_gpu_memory() -> None:
    """Whatever its model is."""
    own = stage().model_copy(update={"hardware": HardwareNeed(cpu="cpu5c", unknown_model_gb=44)})

    assert needed_gb(own) == 0
