"""The instruction sets: two that podctl ships, and folders of JSONL files.

A set's parts are disjoint, exactly and nearly: nothing of `held_out` or `development` is in
`train` or `pool`. The division never depends on the seed, so stages that were given different
seeds stay disjoint; the seed orders `train`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ..common.failure import StageError
from .instruction_set import InstructionSet


def load(name: str, seed: int = 0) -> InstructionSet:
    """The set called `name`: one of `NAMES`, or a folder of the project. Raises: StageError."""
    maker = _MAKERS.get(name)
    if maker is not None:
        instruction_set = maker()
    elif Path(name).is_dir():
        from .files import read_folder

        instruction_set = read_folder(Path(name))
    else:
        raise StageError(
            f"instructions {name!r}: no set and no folder of this name",
            remedy=f"name one of {', '.join(NAMES)}, or a folder of JSONL files in the project",
        )
    train = list(instruction_set.train)
    random.Random(seed).shuffle(train)  # noqa: S311 - not a secret
    return replace(instruction_set, train=tuple(train))


def same_answers(chosen: InstructionSet) -> int:
    """The number of held-out instructions with the answer of a training one of their kind.

    They measure whether another phrasing is understood, not whether a fact is new.
    """
    trained = {
        (instruction.kind, instruction.answer) for instruction in chosen.train if instruction.answer
    }
    return sum((instruction.kind, instruction.answer) in trained for instruction in chosen.held_out)


def _small() -> InstructionSet:
    from .small.splits import make_splits

    return InstructionSet("small", *make_splits(), version=VERSIONS["small"])


def _english() -> InstructionSet:
    from .english.explanations import explanations
    from .english.splits import make_splits

    return InstructionSet(
        "english", *make_splits(), critic=tuple(explanations()), version=VERSIONS["english"]
    )


# By set, a number that rises whenever an instruction or a verifier of it changes.
VERSIONS = {"small": 1, "english": 3}
_MAKERS: dict[str, Callable[[], InstructionSet]] = {"small": _small, "english": _english}
NAMES = tuple(_MAKERS)
