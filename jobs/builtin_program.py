"""Which of podctl's own stage programs a stage runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobs.stage import Stage

_PROGRAM = "remote.stages."


def program(stage: Stage) -> str | None:
    """Which of podctl's own programs the stage runs: "sft"; None for a user's own command."""
    interpreter, module = stage.command[:2], stage.command[2:3]
    if interpreter != ("python", "-m") or not module or not module[0].startswith(_PROGRAM):
        return None
    return module[0].removeprefix(_PROGRAM)


def runs_shipped_program(stage: Stage) -> bool:
    """Whether one of podctl's own programs is run, perhaps by a launcher of the user's."""
    return any(argument.startswith(_PROGRAM) for argument in stage.command)
