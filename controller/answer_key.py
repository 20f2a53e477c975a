"""The answers to a stage's instructions, here: the same sets and verifiers that the pod has.

They lean on the standard library only, so that this needs nothing of the training stack.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.opening import Unopenable
from jobs.stage import Stage

if TYPE_CHECKING:  # seconds of making up instructions, for who really judges
    from remote.stages.instruction import Instruction


@dataclass(frozen=True)
class InstructionKey:
    """Of the set that a stage's parameter `instructions` names; a folder is one below `root`."""

    name: str
    root: Path

    def instructions(self, parts: Collection[str]) -> Collection[str]:
        return [text for part in parts for text in self._parts.get(part, {})]

    def correct(self, instruction: str, response: str) -> bool:
        one = next(of[instruction] for of in self._parts.values() if instruction in of)
        return not one.reasons(response)

    @cached_property
    def _parts(self) -> Mapping[str, Mapping[str, Instruction]]:
        from remote.stages.instruction_sets import NAMES

        return _built_in(self.name) if self.name in NAMES else _load(str(self.root / self.name))


def answer_key(stage: Stage, root: Path) -> InstructionKey:
    """For the criteria of `stage`; a set that is not there is found out when it is needed."""
    return InstructionKey(str(stage.parameters.get("instructions", "")), root)


@cache
def _built_in(name: str) -> Mapping[str, Mapping[str, Instruction]]:
    return _load(name)


def _load(name: str) -> Mapping[str, Mapping[str, Instruction]]:
    from remote.stages.failure import StageError
    from remote.stages.instruction_sets import load

    try:
        found = load(name)
    except StageError as error:
        raise Unopenable(f"the instructions cannot be read here: {error}") from error
    parts = {"development": found.development, "held_out": found.held_out}
    return {part: {one.text: one for one in of} for part, of in parts.items()}
