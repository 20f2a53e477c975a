"""`podctl check`: everything in podctl.toml that can be judged without network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from controller.errors import PodctlError, UsageError
from controller.locks.certificate import read_all
from controller.preflight.hardware import check_cuda
from controller.preflight.obstacles import Obstacle, examine
from controller.preflight.stage_definition import check_definitions
from controller.project.config import line_of
from controller.project.plan import has_plan
from controller.project.project import FILE, Project
from controller.project.stages import select
from controller.providers.hardware_names import HardwareName, matching_ids, suggestions
from jobs import catalog
from jobs.stage import Stage


@dataclass(frozen=True)
class OfflineCheck:
    """What is wrong, and what is worth knowing."""

    stages: tuple[str, ...]
    problems: tuple[Obstacle, ...] = ()
    remarks: tuple[str, ...] = ()


def check(
    project: Project,
    names: Sequence[str],
    gpus: Sequence[HardwareName] = (),
    cpus: Sequence[HardwareName] = (),
) -> OfflineCheck:
    """Check the stages called `names`, or all. `gpus` and `cpus` are types that are known here.

    Raises: UsageError for a podctl.toml that cannot be read; NotFound for an unknown stage.
    """
    if broken := _undefined(project):
        return OfflineCheck((), broken)
    chosen = select(project, names) if names else tuple(project.stages.values())
    problems: list[Obstacle] = []
    for stage in chosen:
        for examination in (check_definitions, check_cuda):
            try:
                examination(project, [stage])
            except PodctlError as error:
                problems.append(Obstacle(stage.name, "definition", error))
    coming = frozenset(project.stages)  # what an earlier stage makes may come
    found = examine(project, chosen, read_all(project.root), coming, offline=True)
    remarks = [*found.remarks, *(line for stage in chosen for line in _unknown(stage, gpus, cpus))]
    if not project.stages:
        remarks.append(f"{FILE} defines no stage")
    return OfflineCheck(
        tuple(stage.name for stage in chosen), (*problems, *found.obstacles), tuple(remarks)
    )


def _undefined(project: Project) -> tuple[Obstacle, ...]:
    """Every stage whose table is wrong, not only the first."""
    config = project.config
    errors = catalog.mistakes(config.stages, config.project.model, plan=has_plan(project))
    text = project.file.read_text(encoding="utf-8-sig") if errors else ""
    found = []
    for error in errors:
        line = line_of(error.path.split("."), text)
        where = f"{project.file}, line {line}" if line else str(project.file)
        shown = UsageError(str(error), where=where, hint="podctl schema describes every key")
        found.append(Obstacle("", "definition", shown))
    return tuple(found)


def _unknown(stage: Stage, gpus: Sequence[HardwareName], cpus: Sequence[HardwareName]) -> list[str]:
    """Types that this podctl does not know; the provider may. A CPU pod has no GPU."""
    need, lines = stage.hardware, []
    on_cpu = need.cpu is not None
    if on_cpu and (need.gpus or need.gpu_count > 1):
        key = "gpus" if need.gpus else "gpu_count"
        lines.append(f"{stage.name}: hardware.cpu asks for a pod without GPU; {key} is not used")
    words, known = ((need.cpu or "",), cpus) if on_cpu else (need.gpus, gpus)
    kind, command = ("CPU flavor", "gpus --cpu") if on_cpu else ("GPU type", "gpus")
    for word in words if known else ():
        if matching_ids(word, known):
            continue
        likely = ", ".join(suggestions(word, known)[:2])
        asks = f"; did you mean {likely}?" if likely else ""
        lines.append(
            f"{stage.name}: no {kind} {word!r} is known here{asks} (podctl {command} lists all)"
        )
    return lines
