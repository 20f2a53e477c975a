"""Chooses one precision of the base model for all stages of the plan. Pure.

In 4 bits and in 16 a model gives other answers, so the stages that are compared share it. Chosen is
bf16 where every GPU that any of the stages accepts holds it, else NF4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from controller.planner.gpu_memory import GB, GIB, stage_gib
from controller.planner.gpu_types import memory_gb
from jobs.builtin_program import program
from jobs.stage import Stage

PROGRAMS = ("baseline", "generate", "sft", "dpo", "evaluate")
AUTO, NF4, NONE = "auto", "nf4", "none"


def with_one_precision(stages: Mapping[str, Stage]) -> dict[str, Stage]:
    """The stages with the parameter `quantize` of podctl's own programs decided, if it is auto.

    A value that a stage is given stays; the only one that is given anywhere counts for all.
    """
    changed = dict(stages)
    for model in dict.fromkeys(_model(stage) for stage in stages.values() if _asks(stage)):
        sharing = [stage for stage in stages.values() if _asks(stage) and _model(stage) == model]
        quantize = choose(sharing)
        for stage in sharing:
            if _quantize(stage) == AUTO != quantize:
                parameters = {**stage.parameters, "quantize": quantize}
                changed[stage.name] = stage.model_copy(update={"parameters": parameters})
    return changed


def choose(stages: Sequence[Stage]) -> str:
    """nf4 or none for stages of one model; auto where nothing is known of model and hardware."""
    given = {_quantize(stage) for stage in stages} - {AUTO}
    if len(given) == 1:
        return given.pop()
    rented = [stage for stage in stages if stage.hardware.cpu is None]
    peaks = [_full_gb(stage) for stage in rented]
    if given or not rented or None in peaks:
        return AUTO
    smallest = [_smallest_gb(stage) for stage in rented]
    fits = max(peak for peak in peaks if peak is not None) <= min(smallest)
    return NONE if fits else NF4


def _full_gb(stage: Stage) -> float | None:
    """GB that one GPU must have for the stage without quantisation; None: not known."""
    parameters = {**stage.parameters, "quantize": NONE}
    peak = stage_gib(stage.model_copy(update={"parameters": parameters}))
    return None if peak is None else peak * GIB / GB


def _smallest_gb(stage: Stage) -> float:
    """GB of the smallest GPU that the stage accepts; where types are not known or not named, what
    it asks for at least."""
    known = [memory_gb(name) for name in stage.hardware.gpus]
    sizes = [size for size in known if size is not None]
    least = stage.hardware.min_gpu_memory_gb
    if not known or len(sizes) < len(known):
        return least
    return max(min(sizes), least)


def _asks(stage: Stage) -> bool:
    return program(stage) in PROGRAMS


def _model(stage: Stage) -> str:
    return str(stage.parameters.get("model", ""))


def _quantize(stage: Stage) -> str:
    value = stage.parameters.get("quantize", AUTO)
    return value if isinstance(value, str) else AUTO
