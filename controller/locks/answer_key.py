"""The answer key of a stage on the laptop: the same sets and verifiers as on the pod.

They need the standard library only, not the training stack.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.format_check import InvalidFile
from jobs.rescore import Record, Tally
from jobs.stage import Stage

if TYPE_CHECKING:  # seconds of making up instructions, for who really judges
    from remote.stages.instructions.instruction_set import InstructionSet
    from remote.stages.verification.instruction import Instruction

Parts = Mapping[str, Mapping[str, "Instruction"]]  # part → its instructions by their texts


@dataclass(frozen=True)
class InstructionKey:
    """Of the set called `name`: one that comes along, or a folder below `root`.

    The pod reads the same folder below its work folder, where the project's inputs lie.

    Attributes:
        program: of podctl's own, whose statistics are computed; "" for any other.
        parameters: that the stage is given.
        computed: by the path of a report, the statistics that were computed so far.
    """

    name: str
    root: Path
    program: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    computed: dict[str, Record] = field(default_factory=dict)

    def instructions(self, parts: Collection[str]) -> Collection[str]:
        return [text for part in parts for text in self._parts[part]]

    def counts(self, instruction: str) -> bool:
        return not self._instruction(instruction).form_only

    def reasons(self, instruction: str, response: str) -> Sequence[str]:
        return self._instruction(instruction).reasons(response)

    def statistics(self, tally: Tally, files: Path, report: str, claimed: Record) -> Record:
        from controller.locks import statistics

        if report not in self.computed:
            evidence = statistics.Evidence(
                tally, self._set, self.parameters, files, self.root, claimed
            )
            self.computed[report] = statistics.compute(self.program, evidence)
        return self.computed[report]

    def _instruction(self, text: str) -> Instruction:
        return next(of[text] for of in self._parts.values() if text in of)

    @cached_property
    def _set(self) -> InstructionSet:
        if not self.name:
            raise InvalidFile("the stage has no parameter `instructions` that names a set")
        seed = self.parameters.get("seed")
        seed = seed if type(seed) is int else 0  # it orders what is trained on
        folder = _is_folder(self.name)
        return _load(str(self.root / self.name), seed) if folder else _built_in(self.name, seed)

    @cached_property
    def _parts(self) -> Parts:
        parts = {"development": self._set.development, "held_out": self._set.held_out}
        return {
            part: {instruction.text: instruction for instruction in of}
            for part, of in parts.items()
        }


def answer_key(stage: Stage, root: Path) -> InstructionKey:
    """The answer key for the criteria of `stage`; a missing set raises when it is used."""
    program = stage.command[-1] if "-m" in stage.command[:-1] else ""
    return InstructionKey(_named(stage), root, program, stage.parameters)


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
def _built_in(name: str, seed: int) -> InstructionSet:
    return _load(name, seed)


def _load(name: str, seed: int) -> InstructionSet:
    from remote.stages.common.failure import StageError
    from remote.stages.instructions.sets import load

    try:
        return load(name, seed)
    except StageError as error:
        raise InvalidFile(f"the instructions cannot be read here: {error.what}") from error
