"""Parameter overrides for rehearsing podctl's own stages: the small model, and few steps."""

from __future__ import annotations

from collections.abc import Mapping

from jobs.builtin_program import program
from jobs.stage import Stage

MODEL = "small"
_ALL = {"model": MODEL, "instructions": "small"}
# Enough steps for a checkpoint, a kill, and something left to do afterwards.
_TRAINING = {"max_steps": 60, "save_steps": 10, "log_steps": 2, "eval_share": 0.1}
_BY_PROGRAM: dict[str, dict[str, object]] = {
    "baseline": {"explicit": 8, "max_new_tokens": 32, "batch": 20},
    "generate": {"wanted": 24, "at_least": 8, "max_attempts": 96, "max_new_tokens": 48, "batch": 8},
    "sft": {**_TRAINING, "max_new_tokens": 32},
    "dpo": {
        **{name: value for name, value in _TRAINING.items() if name != "eval_share"},
        **{"pairs": 40, "least_pairs": 8, "rounds": 2, "compare_samples": 1, "max_new_tokens": 32},
    },
    "evaluate": {"samples": 1, "batch": 20},
}


def signs(stage: Stage) -> tuple[str, ...]:
    """Globs of the files that a killed job can go on from; none: those of any checkpoint-N."""
    match program(stage):
        case "sft" | "dpo":
            return ()
        case None:
            return stage.checkpoints
        case _:
            return (*stage.outputs, "artifacts/.*.part")


def parameters(stage: Stage) -> Mapping[str, object]:
    """The stage's parameters, made small where the program is podctl's own."""
    name = program(stage)
    if name is None:
        return stage.parameters
    return {**stage.parameters, **_ALL, **_BY_PROGRAM.get(name, {})}
