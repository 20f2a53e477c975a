"""Predicts how long a stage takes on each type of GPU, and compares numbers of GPUs. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from controller.costs.gpu_rates import (
    COUNTS,
    Rates,
    efficiency,
    load_seconds,
    rates_of,
    relative_size,
    table,
)
from controller.costs.stage_work import StageWork
from controller.planner.gpu_memory import Architecture


@dataclass(frozen=True)
class Prediction:
    """One stage on one offer. Hours are those of the job, without boot and environment."""

    hours: float
    source: str  # measured | derived | this project | scaled | hours
    tokens_per_second: float | None = None  # trained on, or generated with the prompts' time


def predict(
    work: StageWork, rates: Rates, model: Architecture, *, quantized: bool = False, count: int = 1
) -> Prediction:
    """`quantized`: the weights are in NF4 already. `count` GPUs share answers and batches."""
    answering = _answering_seconds(work, rates) / (count * efficiency("answering", count))
    training = _training_seconds(work, rates) / (count * efficiency("training", count))
    start = table()["start"]
    phases = work.phases * start["phase"] * min(1.0, relative_size(model))
    begin = start[work.start] + load_seconds(model, quantized)
    tokens, seconds = (
        (work.training_tokens, training)
        if work.training
        else (work.answer_tokens + work.both_answer_tokens, answering)
    )
    return Prediction(
        hours=(begin + phases + answering + training) / 3600,
        source=rates.source,
        tokens_per_second=tokens / seconds if seconds else None,
    )


def _answering_seconds(work: StageWork, rates: Rates) -> float:
    """All rows at full width, then the tail of each phase, when few rows are left."""
    both = float(table()["start"]["both_adapters"])
    return (
        (work.prompt_tokens + both * work.both_prompt_tokens) / rates.prefill
        + (work.answer_tokens + both * work.both_answer_tokens) / rates.decode
        + work.tail_steps * rates.step
    )


def _training_seconds(work: StageWork, rates: Rates) -> float:
    if not work.training:
        return 0.0
    sft = work.training == "sft"
    rate, least = (rates.sft, rates.sft_update) if sft else (rates.dpo, rates.dpo_update)
    reference = max(
        work.reference_tokens / rates.prefill, work.reference_passes * rates.reference_pass
    )
    return max(work.training_tokens / rate, work.updates * least) + reference


def corrected(prediction: Prediction, factor: float, *, same_type: bool) -> Prediction:
    """With an earlier run's measured time as `factor` of its predicted time."""
    speed = prediction.tokens_per_second
    return Prediction(
        hours=prediction.hours * factor,
        source="this project" if same_type else "scaled",
        tokens_per_second=None if speed is None else speed / factor,
    )


@dataclass(frozen=True)
class CountPlan:
    """A stage on a number of GPUs of one pod."""

    count: int
    hours: float
    usd: float


def compare_counts(
    work: StageWork,
    gpu: str,
    model: Architecture,
    usd_per_hour: float,
    counts: Iterable[int] = COUNTS,
) -> tuple[CountPlan, ...]:
    """Hours and dollars on each number of GPUs at `usd_per_hour` for one of them.

    The stages that come with podctl use one GPU, so that `podctl plan` offers one.
    """
    rates = rates_of(gpu, model)
    hours = {count: predict(work, rates, model, count=count).hours for count in counts}
    return tuple(
        CountPlan(count, needed, needed * usd_per_hour * count) for count, needed in hours.items()
    )


def cheapest_within(plans: Iterable[CountPlan], max_hours: float) -> CountPlan | None:
    """The cheapest that meets `max_hours`, of equal ones the fastest; None if none does."""
    fitting = [plan for plan in plans if plan.hours <= max_hours]
    return min(fitting, key=lambda plan: (plan.usd, plan.hours), default=None)
