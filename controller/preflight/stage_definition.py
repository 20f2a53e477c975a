"""Refuse, before anything is rented, what podctl.toml asks of a stage that cannot be.

Criteria that no file could meet or that say nothing, environments that cannot be installed,
parameters that podctl's own programs do not take, and variables whose value is a key.
"""

from __future__ import annotations

import re
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

TAKEN_NAMES = (
    (re.compile("all"), "podctl run all means every stage"),
    (re.compile("devpod"), "the pod of podctl up has that name"),
    (re.compile(r".+-[0-9]{4,}"), "runs are called like that, a stage and a number"),
    (re.compile(r"l[0-9]{4,}"), "leases are called like that"),
)


def check_definitions(project: Project, stages: Sequence[Stage]) -> None:
    """Raises UsageError that names every such key."""
    check_criteria(project, stages)
    pod = project.config.pod
    if stages and pod.send == "volume" and pod.network_volume_id is None:
        raise UsageError(
            'pod.send = "volume" needs a network volume',
            where=str(project.file),
            hint="set pod.network_volume_id: podctl volume list",
        )
    for stage in stages:
        _check_name(project, stage)
        _check_vcpus(project, stage)
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


def _check_name(project: Project, stage: Stage) -> None:
    """No stage is called like something else that commands take in the place of a stage."""
    name = stage.name
    why = next((why for pattern, why in TAKEN_NAMES if pattern.fullmatch(name)), "")
    if why:
        raise UsageError(
            f"a stage cannot be called {name}: {why}",
            where=_place(project, [ROOT, name]),
            hint=f"rename it in {FILE}; nothing was rented. Commands that take a name take what "
            "that is before a stage of the name",
        )


def _check_vcpus(project: Project, stage: Stage) -> None:
    count = stage.hardware.vcpu_count
    if stage.hardware.cpu is not None and count & (count - 1):
        raise UsageError(
            f"{stage.name}: hardware.vcpu_count = {count} is no size of a CPU pod",
            where=_place(project, [ROOT, stage.name, "hardware", "vcpu_count"]),
            cause="sizes are powers of two: 2, 4, 8, 16, 32",
            hint=f"edit {FILE}; podctl gpus --cpu lists what there is; nothing was rented",
        )


def _place(project: Project, path: list[str]) -> str:
    line = line_of(path, project.file.read_text(encoding="utf-8-sig"))
    return f"{project.file}, line {line}" if line else str(project.file)


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
