"""The answer key of a stage on the laptop: the same sets and verifiers as on the pod.

They need the standard library only, not the training stack.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.format_check import InvalidFile
from jobs.stage import Stage

if TYPE_CHECKING:  # seconds of making up instructions, for who really judges
    from remote.stages.verification.instruction import Instruction

Parts = Mapping[str, Mapping[str, "Instruction"]]  # part → its instructions by their texts


@dataclass(frozen=True)
class InstructionKey:
    """Of the set called `name`: one that comes along, or a folder below `root`.

    The pod reads the same folder below its work folder, where the project's inputs lie.
    """

    name: str
    root: Path

    def instructions(self, parts: Collection[str]) -> Collection[str]:
        return [text for part in parts for text in self._parts[part]]

    def counts(self, instruction: str) -> bool:
        return not next(
            of[instruction] for of in self._parts.values() if instruction in of
        ).form_only

    def correct(self, instruction: str, response: str) -> bool:
        entry = next(of[instruction] for of in self._parts.values() if instruction in of)
        return not entry.reasons(response)

    @cached_property
    def _parts(self) -> Parts:
        if not self.name:
            raise InvalidFile("the stage has no parameter `instructions` that names a set")
        return _load(str(self.root / self.name)) if _is_folder(self.name) else _built_in(self.name)


def answer_key(stage: Stage, root: Path) -> InstructionKey:
    """The answer key for the criteria of `stage`; a missing set raises when it is used."""
    return InstructionKey(_named(stage), root)


def folder_of(stage: Stage, root: Path) -> str | None:
    """The project's own folder of instructions that the stage is given; None for any other."""
    name = _named(stage)
    return name if name and _is_folder(name) and (root / name).is_dir() else None


def set_and_version(stage: Stage) -> str:
    """The name and version of the set that comes with podctl and that `stage` uses, or ""."""
    from remote.stages.instructions.sets import VERSIONS

    name = _named(stage)
    return f"{name} {VERSIONS[name]}" if name in VERSIONS else ""


def _is_folder(name: str) -> bool:
    """Whether instructions of this name are no set that comes along."""
    from remote.stages.instructions.sets import NAMES

    return name not in NAMES


def _named(stage: Stage) -> str:
    name = stage.parameters.get("instructions")
    return name if isinstance(name, str) else ""


@cache
def _built_in(name: str) -> Parts:
    return _load(name)


def _load(name: str) -> Parts:
    from remote.stages.common.failure import StageError
    from remote.stages.instructions.sets import load

    try:
        instruction_set = load(name)
    except StageError as error:
        raise InvalidFile(f"the instructions cannot be read here: {error.what}") from error
    parts = {"development": instruction_set.development, "held_out": instruction_set.held_out}
    return {
        part: {instruction.text: instruction for instruction in of} for part, of in parts.items()
    }
