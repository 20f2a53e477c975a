"""Splits the English set: every kind in each part, and no near-duplicates."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache

from ...text.near_duplicates import distinct
from ...verification.instruction import Instruction
from ...verification.verifier import Check
from . import completions, numbers, questions, rewriting, writing
from .checks import VARIED
from .tasks import by_task, spread

HELD_OUT, DEVELOPMENT, POOL = 0.16, 0.06, 0.02  # shares of each kind; training has the rest
Part = tuple[Instruction, ...]
Parts = tuple[Part, Part, Part, Part]
Maker = Callable[[random.Random], Iterator[Instruction]]
MAKERS: tuple[Maker, ...] = (
    *completions.KINDS,
    *questions.KINDS,
    *numbers.KINDS,
    *writing.KINDS,
    *rewriting.KINDS,
)


@cache
def make_splits() -> Parts:
    """(train, development, held out, pool); the same at every call.

    The name of a maker is its seed: renaming a maker changes the set.
    """
    train: list[Instruction] = []
    development: list[Instruction] = []
    held_out: list[Instruction] = []
    pool: list[Instruction] = []
    for maker in MAKERS:
        draw = random.Random(f"english/{maker.__name__}")  # noqa: S311 - not a secret
        made = [
            with_variety(instruction) for instruction in without_near_duplicates(list(maker(draw)))
        ]
        draw.shuffle(made)
        tasks = by_task(spread(made, draw))
        counts = [max(1, round(len(made) * share)) for share in (POOL, DEVELOPMENT, HELD_OUT)]
        for part, count in zip((pool, development, held_out), counts, strict=True):
            end = len(part) + count
            while len(part) < end:
                part += tasks.pop(0)
        train += [instruction for task in tasks for instruction in task]
    return tuple(train), tuple(development), tuple(held_out), tuple(pool)


def with_variety(instruction: Instruction) -> Instruction:
    """The instruction, with the check VARIED where its checks search for words anywhere."""
    return (
        replace(instruction, checks=(*instruction.checks, VARIED))
        if _looks_for_words(instruction.checks)
        else instruction
    )


def _looks_for_words(checks: Sequence[Check]) -> bool:
    return any(
        check["check"] in ("contains", "accepts")
        or (check["check"] == "any" and any(map(_looks_for_words, check["of"])))
        for check in checks
    )


def without_near_duplicates(instructions: Sequence[Instruction]) -> list[Instruction]:
    """The instructions that are not near-duplicates of an earlier one."""
    return [
        instructions[place]
        for place in distinct([instruction.text for instruction in instructions])
    ]
