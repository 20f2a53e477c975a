"""The English set in its parts: every kind in each, no two instructions near, none in two parts."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from functools import cache

from ..instruction import Instruction
from ..near import distinct
from . import completions, numbers, questions, rewriting, writing

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
def division() -> Parts:
    """(train, development, held out, pool); the same at every call."""
    train: list[Instruction] = []
    development: list[Instruction] = []
    held_out: list[Instruction] = []
    pool: list[Instruction] = []
    for maker in MAKERS:
        draw = random.Random(f"english/{maker.__name__}")  # noqa: S311 - not a secret
        made = apart(list(maker(draw)))
        draw.shuffle(made)
        counts = [max(1, round(len(made) * share)) for share in (POOL, DEVELOPMENT, HELD_OUT)]
        for part, count in zip((pool, development, held_out), counts, strict=True):
            part += made[:count]
            made = made[count:]
        train += made
    return tuple(train), tuple(development), tuple(held_out), tuple(pool)


def apart(instructions: Sequence[Instruction]) -> list[Instruction]:
    """Those that are near none before them."""
    return [instructions[place] for place in distinct([one.text for one in instructions])]
