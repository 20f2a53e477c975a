"""Parameters of podctl's own programs, checked here as they would be on a pod that is rented."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from jobs.stage import Stage

if TYPE_CHECKING:
    from remote.stages.common.failure import StageError


def problem(stage: Stage) -> StageError | None:
    """What the stage's program would say of its parameters at once; None: nothing, or a program
    of the user's own."""
    kind = _kinds().get(stage.command[-1]) if stage.command[1:-1] == ("-m",) else None
    if kind is None:
        return None
    from remote.stages.common.failure import StageError
    from remote.stages.common.parameters import parse

    try:
        parse(kind, json.dumps(stage.parameters).encode())
    except StageError as error:
        return error
    return None


def _kinds() -> dict[str, type[Any]]:
    from remote.stages.common.parameters import DpoParameters, SftParameters
    from remote.stages.datagen.parameters import GenerateParameters
    from remote.stages.evaluation.baseline_parameters import BaselineParameters
    from remote.stages.evaluation.parameters import EvaluateParameters

    return {
        "remote.stages.baseline": BaselineParameters,
        "remote.stages.generate": GenerateParameters,
        "remote.stages.sft": SftParameters,
        "remote.stages.dpo": DpoParameters,
        "remote.stages.evaluate": EvaluateParameters,
    }
