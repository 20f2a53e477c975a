"""Compares the precision of the base model with the locks that a stage is compared with.

Only whether it is quantised: the kind of floats on the pod's device is compared by the programs.
"""

from __future__ import annotations

from collections.abc import Mapping

from controller.errors import UsageError
from controller.locks.certificate import Certificate
from controller.locks.precision import QUANTIZE, derived, recorded
from jobs.builtin_program import program
from jobs.stage import Stage
from remote.stages.common.precision import CUDA, NF4, precision

COMPARED = ("dpo", "evaluate")  # programs that answer beside what others answered
_MODULES = tuple(f"remote.stages.{name}" for name in ("baseline", "sft", "dpo"))


def check_precision(stage: Stage, locks: Mapping[str, Certificate]) -> list[str]:
    """Remarks on locks that do not record it. Raises: UsageError naming lock and precision."""
    if program(stage) not in COMPARED:
        return []
    if stage.parameters.get(QUANTIZE, "auto") == "auto":  # of a model of unknown size
        return []  # what the pod takes is compared there
    kind = CUDA if stage.hardware.cpu is None else "cpu"
    own = precision(str(stage.parameters.get(QUANTIZE, "auto")), kind)
    of_lock, remarks = {}, []
    for name in stage.needs:
        lock = locks.get(name)
        if lock is None or not any(module in lock.command for module in _MODULES):
            continue
        of_lock[name] = recorded(lock) or derived(lock)
        if recorded(lock) is None:
            given = lock.parameters.get(QUANTIZE, "auto")
            remarks.append(
                f"the lock of {name} does not record the precision of its base; by quantize = "
                f"{given!r} on {lock.cost.hardware or 'its hardware'} it was {of_lock[name]}"
            )
    other = [name for name, of in of_lock.items() if (of == NF4) != (own == NF4)]
    if other:
        raise _two_precisions(stage, own, of_lock, other)
    return remarks


def _two_precisions(
    stage: Stage, own: str, of_lock: Mapping[str, str], other: list[str]
) -> UsageError:
    said = [f"the lock of {name} has {of}" for name, of in of_lock.items()]
    if len(other) == len(of_lock):  # they agree with each other
        value = NF4 if of_lock[other[0]] == NF4 else "none"
        hint = f"podctl run {stage.name} --set parameters.quantize={value}"
    else:
        hint = f"podctl unlock {other[0]} --reason precision; podctl run {other[0]} {stage.name}"
    return UsageError(
        f"{stage.name} would compare answers of a base in two precisions",
        where=", ".join(f"locks/{name}.json" for name in other),
        cause=f"{', '.join(said)}, and {stage.name} would have {own}",
        hint=hint,
    )
