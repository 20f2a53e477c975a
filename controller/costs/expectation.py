"""What stages that share a pod are expected to take on each offer. Pure.

Podctl's own stages are predicted for each type of GPU, unless podctl.toml sets their `hours`. A
stage without a prediction takes its `hours` on every offer, so that price per hour ranks them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from controller.costs.gpu_rates import known, pod_seconds, rates_of
from controller.costs.prediction import Prediction, corrected, predict
from controller.costs.stage_work import StageWork
from controller.planner.gpu_memory import Architecture
from controller.providers.base import Offer
from controller.providers.offers import by_stage_usd
from controller.terminal.formatting import span
from jobs.stage import Stage

DEFINED = "hours"  # the source of a figure that the stage's definition gives


@dataclass(frozen=True)
class StageModel:
    """One stage, and what its time depends on; without `work` its `hours` count."""

    name: str
    hours: float
    max_hours: float = math.inf
    work: StageWork | None = None
    model: Architecture | None = None
    quantized: bool = False  # the model's folder is in NF4
    plain: bool = False  # without podctl's engine
    # GPU type → measured over predicted time of the newest earlier run there, newest run first.
    earlier: Mapping[str, float] = field(default_factory=dict)

    def on(self, gpu: str) -> Prediction:
        """On one GPU of a type, or on a CPU flavor."""
        if self.work is None or self.model is None or not known(gpu):
            return Prediction(self.hours, DEFINED)
        rates = rates_of(gpu, self.model, plain=self.plain)
        prediction = predict(self.work, rates, self.model, quantized=self.quantized)
        if not self.earlier:
            return prediction
        newest = next(iter(self.earlier.values()))
        return corrected(prediction, self.earlier.get(gpu, newest), same_type=gpu in self.earlier)


@dataclass(frozen=True)
class Expectation:
    """The stages of one pod; `download_gb` is what it fetches from the model hub."""

    stages: tuple[StageModel, ...]
    download_gb: float = 0.0

    def on(self, gpu: str) -> tuple[Prediction, ...]:
        """One prediction for each stage."""
        return tuple(stage.on(gpu) for stage in self.stages)

    @property
    def pod_hours(self) -> float:
        """Boot, environment and download: in a stage's own `hours`, besides a prediction."""
        if not self.predicted:
            return 0.0
        return pod_seconds(self.download_gb) / 3600

    def hours(self, gpu: str) -> float:
        """Of the whole pod."""
        return self.pod_hours + sum(prediction.hours for prediction in self.on(gpu))

    def too_slow(self, gpu: str) -> str:
        """Which stage would use up its `max_hours`; empty if none is expected to."""
        for stage, prediction in zip(self.stages, self.on(gpu), strict=True):
            if prediction.hours > stage.max_hours:
                hours, most = span(prediction.hours), span(stage.max_hours)
                return f"{stage.name} would take {hours}, max_hours is {most}"
        return ""

    def usd(self, offer: Offer) -> float:
        """Expected dollars of compute."""
        return self.hours(offer.id) * offer.usd_per_hour

    def ranked(self, offers: Iterable[Offer]) -> tuple[Offer, ...]:
        """The cheapest for these stages first; availability NONE after all others."""
        return by_stage_usd(offers, self.hours)

    @property
    def predicted(self) -> bool:
        """Whether the hours depend on the offer."""
        return any(stage.work is not None for stage in self.stages)

    def document(self, offers: Iterable[Offer]) -> dict[str, Any]:
        """As the lease records it: hours of the pod by offer, and of each stage."""
        ids = sorted({offer.id for offer in offers})
        return {
            "hours": {gpu: self.hours(gpu) for gpu in ids},
            "stages": {
                stage.name: {gpu: vars(stage.on(gpu)) for gpu in ids}
                for stage in self.stages
                if stage.work is not None
            },
        }


def by_definition(stages: Sequence[Stage]) -> Expectation:
    """By the stages' own `hours`."""
    return Expectation(
        tuple(StageModel(stage.name, stage.hours, stage.max_hours) for stage in stages)
    )
