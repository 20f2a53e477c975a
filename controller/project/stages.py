"""The stages of a project: which there are, which are meant, and what one of them still lacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from controller.errors import UsageError
from controller.project.project import FILE, NO_STAGES, Project, stage_of

if TYPE_CHECKING:
    from jobs.stage import Stage

ALL = "all"


@dataclass(frozen=True)
class Missing:
    """An input that is not here, and the stage whose output it is, if any makes it."""

    path: str
    made_by: str | None


def select(project: Project, names: Sequence[str]) -> tuple[Stage, ...]:
    """The stages that `names` mean, in the given order; "all" is every stage in plan order.

    Raises: NotFound for an unknown name; UsageError when one is named twice.
    """
    if ALL in names:
        if len(names) > 1:
            raise UsageError("'all' cannot be combined with stage names", hint="podctl run all")
        if not project.stages:
            raise UsageError(f"{FILE} defines no stage", where=str(project.file), hint=NO_STAGES)
        return tuple(project.stages.values())
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{name} is named twice")
    return tuple(stage_of(project, name) for name in names)


def missing_inputs(project: Project, stage: Stage) -> tuple[Missing, ...]:
    """The stage's inputs that are not in the project, each with the stage that makes it."""
    here = inputs_here(project, stage)
    absent = [path for path in declared_inputs(project, stage) if path not in here]
    return tuple(Missing(path, maker_of(project, path)) for path in absent)


def declared_inputs(project: Project, stage: Stage) -> tuple[str, ...]:
    """The stage's inputs, then the files of its environment, which no exclusion leaves out."""
    from controller.project.environment_files import files_of

    more = (path for path in files_of(project.root, stage.environment) if path not in stage.inputs)
    return (*stage.inputs, *more)


def inputs_here(project: Project, stage: Stage) -> tuple[str, ...]:
    """The stage's inputs that something is at, and every exclusion."""
    from controller.transfer.declared_paths import is_there

    declared = declared_inputs(project, stage)
    return tuple(path for path in declared if path.startswith("!") or is_there(project.root, path))


def maker_of(project: Project, path: str) -> str | None:
    """The stage one of whose outputs is, holds or matches `path`, which may be a glob."""
    from remote.globs import Globs, may_meet

    for stage in project.stages.values():
        globs = Globs(stage.outputs)
        if not globs.leaves_out(path) and any(may_meet(one, path) for one in globs.wanted):
            return stage.name
    return None


def stood_in(project: Project, stage: Stage, need: str) -> bool:
    """Whether everything that `stage` takes from the stage `need` is here, put by the user."""
    wanted = [path for path in stage.inputs if not path.startswith("!")]
    taken = [path for path in wanted if maker_of(project, path) == need]
    here = inputs_here(project, stage)
    return bool(taken) and all(path in here for path in taken)
