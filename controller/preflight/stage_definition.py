"""Refuse, before anything is rented, what podctl.toml asks of a stage that cannot be.

Criteria that no file could meet or that say nothing, environments that cannot be installed,
parameters that podctl's own programs do not take, and variables whose value is a key.
"""

from __future__ import annotations

from collections.abc import Sequence

from controller.errors import UsageError
from controller.preflight import stage_parameters as program_parameters
from controller.project import environment_files
from controller.project.config import line_of
from controller.project.project import FILE, Project
from controller.transfer.secret_scan import by_content
from jobs import launch
from jobs.builtin_program import runs_shipped_program
from jobs.catalog import ROOT
from jobs.expectation import problems
from jobs.stage import Stage


def check_definitions(project: Project, stages: Sequence[Stage]) -> None:
    """Raises UsageError that names every such key."""
    check_criteria(project, stages)
    for stage in stages:
        environment_files.check(project.root, stage.environment)
        _check_variables(project, stage)
        _check_processes(project, stage)
        if error := program_parameters.problem(stage):
            raise UsageError(
                f"{stage.name}: {error.what}",
                where=f"{project.file}: [{ROOT}.{stage.name}.parameters]",
                hint=f"edit {FILE}; nothing was rented",
            )


def _check_processes(project: Project, stage: Stage) -> None:
    """Every GPU bills: a program that uses one of them must not be given several."""
    where = f"{project.file}: [{ROOT}.{stage.name}]"
    if why := launch.problem(stage):
        raise UsageError(f"{stage.name}: {why}", where=where, hint=f"edit {FILE}")
    if runs_shipped_program(stage) and launch.processes(stage) > 1:
        raise UsageError(
            f"{stage.name} uses one GPU, and gpu_count = {stage.hardware.gpu_count} bills all",
            where=where,
            hint="remove gpu_count, or choose a GPU with more memory; nothing was rented",
        )


def _check_variables(project: Project, stage: Stage) -> None:
    """podctl.toml is in git, and a variable is shown and locked: none may be a key."""
    for name, value in stage.env.items():
        if found := by_content(name, f'{name} = "{value}"\n'.encode(errors="replace")):
            raise UsageError(
                f"{stage.name}: the value of {name} looks like a secret: {found[0].kind}",
                where=f"{project.file}: [{ROOT}.{stage.name}.env]",
                hint=f'take it out, and say secrets = ["{name}"]; nothing was rented',
            )


def check_criteria(project: Project, stages: Sequence[Stage]) -> None:
    """Raises UsageError that names every criterion that cannot be met as it is written."""
    found = [
        (stage.name, f"{ROOT}.{stage.name}.{key}", text)
        for stage in stages
        for key, text in problems(stage)
    ]
    if not found:
        return
    text = project.file.read_text(encoding="utf-8-sig")
    line = line_of([ROOT, found[0][0], "criteria"], text)
    raise UsageError(
        f"a criterion of {found[0][0]} cannot be met as it is written",
        where=f"{project.file}, line {line}" if line else str(project.file),
        cause="\n".join(f"{key}: {what}" for _, key, what in found),
        hint=f"edit {FILE}; nothing was rented",
    )
