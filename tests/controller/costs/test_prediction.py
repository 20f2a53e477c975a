"""Predicted times against recorded runs, and how rates follow from a type's published figures."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from controller.costs.gpu_rates import (
    COUNTS,
    DERIVED,
    MEASURED,
    efficiency,
    rates_of,
    relative_size,
    table,
)
from controller.costs.prediction import (
    CountPlan,
    cheapest_within,
    compare_counts,
    corrected,
    predict,
)
from controller.costs.stage_work import SETS, StageWork, from_characters, work_of
from controller.planner.gpu_memory import Architecture, architecture
from jobs.builtin_program import program
from jobs.catalog import load_stages
from jobs.stage import Stage

H200, L40S = "NVIDIA H200", "NVIDIA L40S"

# docs/gpu.md, "The five stages": `tests/bench/gpu.py --random --shape 32b` on one H200, seconds of
# each process, with the parameters of that script.
FIVE_STAGES: dict[str, tuple[dict[str, Any], float]] = {
    "baseline": ({"batch": 100, "max_new_tokens": 24}, 23),
    "generate": ({"wanted": 40, "max_attempts": 80, "max_new_tokens": 24}, 22),
    "sft": ({"max_steps": 10, "accumulation": 1, "max_length": 256, "max_new_tokens": 24}, 38),
    "dpo": (
        {"pairs": 120, "rounds": 1, "max_steps": 10, "compare_samples": 1, "max_new_tokens": 24},
        61,
    ),
    "evaluate": ({"batch": 100, "samples": 1}, 29),
}

# tests/bench/gpu.py with the English set, the plan's counts but 350 pairs, and answers of
# 20 tokens, on another H200 (docs/gpu.md, "Expected time and cost"). The first process ran on a
# cold disk. The small model's tokenizer makes a token of 2.3 characters.
PLANS_COUNTS: dict[str, tuple[dict[str, Any], float]] = {
    "baseline": ({"max_new_tokens": 20}, 48),
    "sft": ({"batch": 4, "accumulation": 2, "max_length": 512, "max_new_tokens": 20}, 88),
    "dpo": (
        {"pairs": 350, "epochs": 2.0, "batch": 2, "accumulation": 4, "max_new_tokens": 20},
        240,
    ),
    "evaluate": ({}, 91),
}


def shape(model: str = "Qwen/Qwen2.5-32B") -> Architecture:
    found = architecture(model)
    assert found is not None
    return found


def predicted_hours(stage: Stage, gpu: str) -> float:
    """Of a stage with the English set and the 32B model."""
    work = work_of(program(stage) or "", stage.parameters, SETS["english"])
    assert work is not None
    return predict(work, rates_of(gpu, shape()), shape()).hours


def answering_seconds(work: StageWork, gpu: str = H200) -> float:
    """What is left of a prediction without start-up and loading."""
    nothing = replace(work, prompt_tokens=0.0, answer_tokens=0.0, tail_steps=0.0)
    rates = rates_of(gpu, shape())
    return 3600 * (predict(work, rates, shape()).hours - predict(nothing, rates, shape()).hours)


@pytest.mark.parametrize("stage", FIVE_STAGES)
def test_each_of_five_recorded_stages_is_predicted_within_a_fifth(stage: str) -> None:
    """NF4 weights of the 32B shape on a disk, the small set, one H200."""
    parameters, measured = FIVE_STAGES[stage]
    work = work_of(stage, parameters, SETS["small"])
    assert work is not None
    seconds = 3600 * predict(work, rates_of(H200, shape()), shape(), quantized=True).hours

    assert seconds == pytest.approx(measured, rel=0.2)


@pytest.mark.parametrize("stage", PLANS_COUNTS)
def test_the_plans_counts_are_predicted_within_a_fifth(stage: str) -> None:
    """36 optimizer steps of 3,900 tokens in 1C, one round of samples in 1D."""
    parameters, measured = PLANS_COUNTS[stage]
    amounts = replace(
        SETS["english"],
        prompt_tokens=60.7 / 2.3,
        answer_tokens=29.2 / 2.3,
        training_tokens=36 * 3900 / 3,
        failing=1.0,
    )
    work = work_of(stage, parameters, amounts)
    assert work is not None
    seconds = 3600 * predict(work, rates_of(H200, shape()), shape(), quantized=True).hours
    cold = table()["pod"]["first_process"] if stage == "baseline" else 0.0

    assert seconds + cold == pytest.approx(measured, rel=0.2)


def test_the_five_recorded_stages_together_are_predicted_within_a_tenth() -> None:
    """Their sum was 173 s of the 202 s; the rest made and wrote the random weights."""
    total = 0.0
    for stage, (parameters, _) in FIVE_STAGES.items():
        work = work_of(stage, parameters, SETS["small"])
        assert work is not None
        total += 3600 * predict(work, rates_of(H200, shape()), shape(), quantized=True).hours

    assert total == pytest.approx(173, rel=0.1)


@pytest.mark.parametrize(
    ("answers", "tokens", "most", "measured"),
    [
        (1_900, 22, 256, 16.2),  # docs/gpu.md: 1B's tries, sheets of 90 tokens shared
        (13_030, 19, 128, 63.5),  # docs/gpu.md: 1D's comparison and 1E, bare prompts
    ],
)
def test_recorded_answers_are_predicted_within_a_fifth(
    answers: int, tokens: float, most: int, measured: float
) -> None:
    """Prompts of 17 tokens, ends at random, one H200; these figures calibrated no constant."""
    from controller.costs.stage_work import _longest

    tail = _longest(tokens, answers, most)
    work = StageWork("answering", 1, answers * 17.0, answers * tokens, tail_steps=tail)

    assert answering_seconds(work) == pytest.approx(measured, rel=0.2)


def test_an_unmeasured_type_follows_from_compute_and_bandwidth() -> None:
    """Training and prefill scale with TFLOP/s, decoding with GB/s, from the row of its memory."""
    data = table()
    own, reference = data["types"][L40S], data["types"][H200]
    compute, memory = (own[key] / reference[key] for key in ("tflops", "gb_per_second"))
    rates, tight = rates_of(L40S, shape()), data["measured"]["tight"]

    assert rates.source == DERIVED
    assert rates.sft == pytest.approx(tight["sft"] * compute)
    assert rates.prefill == pytest.approx(tight["prefill"] * compute)
    assert rates.decode == pytest.approx(tight["decode"] * memory)
    assert rates_of(H200, shape()).source == MEASURED
    assert rates_of(H200, shape("Qwen/Qwen2.5-7B")).source == DERIVED


def test_a_smaller_model_is_faster_only_to_a_point() -> None:
    """Half the weights are twice the rate; a thousandth are not a thousand times it."""
    large, small = rates_of(H200, shape()), rates_of(H200, shape("small"))
    half = shape("Qwen/Qwen2.5-14B")

    assert rates_of(H200, half).sft == pytest.approx(large.sft / relative_size(half))
    assert small.sft == pytest.approx(large.sft * table()["smallest_model"])


def test_every_type_has_figures_and_a_source() -> None:
    """Rows are complete and plausible."""
    for name, row in table()["types"].items():
        assert 10 < row["tflops"] < 10_000, name
        assert 100 < row["gb_per_second"] < 30_000, name
        assert 8 <= row["memory_gb"] <= 1_000, name
        assert row["source"], name


def test_the_defaults_of_the_plan_are_the_prediction_for_an_l40s() -> None:
    """`hours` of each stage are at most a third off, and `max_hours` leave it four times that."""
    for stage in load_stages({}).values():
        hours = predicted_hours(stage, L40S)
        assert 0.05 + 4 * hours < stage.max_hours
        assert hours == pytest.approx(stage.hours, abs=0.06)


def test_plain_libraries_take_many_times_as_long() -> None:
    """engine = "plain" has rates of its own, so that nobody is promised minutes for hours."""
    work = work_of("dpo", {"max_new_tokens": 128}, SETS["english"])
    assert work is not None
    fast, plain = (
        predict(work, rates_of(H200, shape(), plain=plain), shape()).hours
        for plain in (False, True)
    )

    assert plain > 10 * fast


@pytest.mark.parametrize("name", SETS)
def test_the_sizes_of_the_sets_are_those_of_the_sets(name: str) -> None:
    """They are written down because building the English set takes seconds."""
    from remote.stages.instructions.sets import load
    from remote.stages.text.prompts import bare

    chosen = load(name)
    prompts = sum(len(bare(item.text)) for item in chosen.train) / len(chosen.train)
    answers = sum(len(item.answer) for item in chosen.train) / len(chosen.train)
    held_out = len(chosen.held_out) + len(chosen.critic)
    sizes = from_characters(len(chosen.train), len(chosen.development), held_out, prompts, answers)

    for field, value in vars(sizes).items():
        assert getattr(SETS[name], field) == pytest.approx(value, rel=0.1), field


def test_several_gpus_share_the_work_and_not_the_start() -> None:
    """More GPUs take less time and more dollars, each by the assumed efficiency."""
    work = work_of("sft", {"epochs": 300.0}, SETS["english"])
    assert work is not None
    plans = compare_counts(work, H200, shape(), 4.0)

    assert [plan.count for plan in plans] == [*COUNTS]
    assert [plan.hours for plan in plans] == sorted((plan.hours for plan in plans), reverse=True)
    assert [plan.usd for plan in plans] == sorted(plan.usd for plan in plans)
    for kind in ("training", "answering"):
        shares = [efficiency(kind, count) for count in COUNTS]
        assert shares[0] == 1.0
        assert shares == sorted(shares, reverse=True)


def test_the_cheapest_number_that_meets_max_hours_is_taken() -> None:
    """One GPU unless it takes too long; none where even eight do."""
    plans = [CountPlan(1, 8.0, 8.0), CountPlan(2, 4.5, 9.0), CountPlan(4, 2.4, 9.6)]

    assert cheapest_within(plans, 8.0) == plans[0]
    assert cheapest_within(plans, 5.0) == plans[1]
    assert cheapest_within(plans, 1.0) is None


def test_an_earlier_run_corrects_hours_and_speed() -> None:
    """Twice the time is half the tokens a second; the source says where it was measured."""
    work = work_of("sft", {}, SETS["english"])
    assert work is not None
    plain = predict(work, rates_of(H200, shape()), shape())
    same, other = (corrected(plain, 2.0, same_type=same) for same in (True, False))

    assert same.hours == pytest.approx(2 * plain.hours)
    assert same.tokens_per_second == pytest.approx((plain.tokens_per_second or 0) / 2)
    assert (same.source, other.source) == ("this project", "scaled")
