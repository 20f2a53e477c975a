"""Expected hours of stages on each type of GPU, from parameters, local data and earlier runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from controller.costs.expectation import DEFINED, Expectation, StageModel
from controller.costs.gpu_rates import first_job_seconds, published_gb
from controller.costs.stage_work import work_of
from controller.planner.gpu_memory import SHIPPED
from controller.planner.pod_spec import Shape
from controller.preflight.earlier_times import earlier_runs
from controller.preflight.stage_amounts import amounts_of, model_of
from controller.preflight.volume_contents import sent_to
from controller.project.project import Project
from jobs.builtin_program import program
from jobs.catalog import built_in
from jobs.stage import Stage

MOST_FACTOR = 10.0  # by which an earlier run corrects a prediction


def expectation_of(project: Project, stages: Sequence[Stage], shape: Shape) -> Expectation:
    """Of stages that share a pod; reads local files only."""
    models = tuple(_stage_model(project, stage) for stage in stages)
    return Expectation(models, _download_gb(project, stages, models, shape))


def predictable(stage: Stage) -> bool:
    """Whether podctl predicts the stage: its own program, and no `hours` of the user's."""
    default = built_in().get(stage.name)
    return (
        default is not None
        and stage.hours == default["hours"]
        and stage.hardware.cpu is None
        and program(stage) is not None
    )


def _stage_model(project: Project, stage: Stage) -> StageModel:
    plain = StageModel(stage.name, stage.hours, stage.max_hours)
    if not predictable(stage):
        return plain
    amounts, (shape, quantized) = amounts_of(stage, project.root), model_of(stage, project.root)
    name = program(stage)
    work = None if amounts is None or name is None else work_of(name, stage.parameters, amounts)
    if work is None or shape is None or amounts is None or name is None:
        return plain
    model = replace(
        plain,
        work=work,
        model=shape,
        quantized=quantized,
        plain=stage.parameters.get("engine") == "plain",
    )
    return replace(model, earlier=_factors(project, stage, model))


def _factors(project: Project, stage: Stage, model: StageModel) -> Mapping[str, float]:
    """Measured over predicted time of the newest run on each type, the newest run first.

    The first job on a pod reads a cold disk and downloads the model; a delay that this explains
    counts as none, since it is expected of every pod besides.
    """
    factors: dict[str, float] = {}
    for run in earlier_runs(project.root, project.runs, stage.name):
        then = stage.model_copy(update={"parameters": run.parameters})
        amounts, (shape, quantized) = amounts_of(then, project.root), model_of(then, project.root)
        name = program(stage)
        if run.gpu in factors or amounts is None or shape is None or name is None:
            continue
        work = work_of(name, run.parameters, amounts)
        plain = run.parameters.get("engine") == "plain"
        earlier = replace(model, work=work, model=shape, quantized=quantized, plain=plain)
        prediction = earlier.on(run.gpu)
        if prediction.source != DEFINED:
            seconds = 3600 * prediction.hours
            delay = first_job_seconds(published_gb(shape) if _from_hub(project, then) else 0.0)
            measured = max(min(run.seconds, seconds), run.seconds - delay)
            factors[run.gpu] = min(MOST_FACTOR, max(1 / MOST_FACTOR, measured / seconds))
    return factors


def _download_gb(
    project: Project, stages: Sequence[Stage], models: Sequence[StageModel], shape: Shape
) -> float:
    """Of the largest hub model; 0 where an earlier run left it on the network volume."""
    volume_runs = sent_to(project, shape.network_volume_id)
    there = {run.spec.get("stage", {}).get("parameters", {}).get("model") for run in volume_runs}
    sizes = [0.0]
    for stage, model in zip(stages, models, strict=True):
        missing = stage.parameters.get("model") not in there
        if model.model is not None and missing and _from_hub(project, stage):
            sizes.append(published_gb(model.model))
    return max(sizes)


def _from_hub(project: Project, stage: Stage) -> bool:
    name = stage.parameters.get("model")
    return isinstance(name, str) and name not in SHIPPED and not (project.root / name).is_dir()
