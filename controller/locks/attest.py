"""When a plan is certified as a whole: all its stages are locked, on one another, and current."""

from __future__ import annotations

from collections.abc import Sequence

from controller.locks import certificate, statement
from controller.locks.certificate import Certificate
from controller.locks.stale_locks import in_order, stale
from controller.project.project import Project

# What is stale by no fault of the stage itself: another version of podctl, or what stands below.
_NOT_ITS_OWN = ("code", "upstream")


def attest(project: Project, plan: str) -> tuple[str, ...]:
    """Write the statement over `plan`; what is to be told of it, nothing while a stage lacks.

    None is written over locks that do not stand on one another, nor over one that was judged or
    run otherwise than the project says: it would certify as one piece what is none.
    """
    stages = in_order(project.stages)
    names = statement.plans(stages)[plan]
    locks = certificate.read_all(project.root)
    if any(one not in locks for one in names):
        return ()
    if obstacles := _obstacles(project, names, locks):
        head = f"every stage of {plan} is locked, and the plan is not certified as a whole:"
        return (head, *(f"  {one}" for one in obstacles))
    path = statement.write(project.root, plan, {one: locks[one] for one in names})
    return (f"{plan} is whole: {path.relative_to(project.root)}",)


def attest_missing(project: Project) -> None:
    """The same for every plan that has no statement yet: what stood in its way may be gone."""
    for plan in statement.plans(project.stages):
        if not statement.statement_path(project.root, plan).exists():
            attest(project, plan)


def _obstacles(
    project: Project, names: Sequence[str], locks: dict[str, Certificate]
) -> tuple[str, ...]:
    needs = {name: stage.needs for name, stage in project.stages.items()}
    apart, differing = statement.loose(needs, locks), stale(project)
    return (
        *(f"{one.path}: {one.what}" for name in names for one in apart[name]),
        *(
            f"{name} is stale: {one.text}"
            for name in names
            for one in differing[name]
            if one.kind not in (*_NOT_ITS_OWN, "need")  # needs are told of above
        ),
    )
