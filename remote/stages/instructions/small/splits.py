"""Splits the small world's instructions into parts without near-duplicates.

The held-out ones are those that the shipped base model never read. Where one of them is nearly
another instruction ("... beginning with b." and "... with c."), the other is set aside for good.
The division depends on no seed: stages with different seeds stay disjoint.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from functools import cache

from ...text.near_duplicates import near_duplicates
from ...verification.instruction import Instruction
from .world import split

DEVELOPMENT = 9  # at least so many of each kind
POOL = 3  # of each kind
Part = tuple[Instruction, ...]
Parts = tuple[Part, Part, Part, Part]


@cache
def make_splits() -> Parts:
    """(train, development, held out, pool), pairwise disjoint, exactly and nearly."""
    known, held = split()
    draw = random.Random("division of the small world")  # noqa: S311 - not a secret
    rest = _far_from(known, held)
    development = _clusters(rest, DEVELOPMENT, draw)
    rest = _far_from(rest, development)
    pool = [
        instruction for group in _kinds(rest) for instruction in _clusters(group, POOL, draw)[:POOL]
    ]
    return tuple(_far_from(rest, pool)), tuple(development), held, tuple(pool)


def _far_from(candidates: Sequence[Instruction], taken: Sequence[Instruction]) -> list[Instruction]:
    """The `candidates` that are not near-duplicates of any of `taken`."""
    duplicates = near_duplicates(
        [instruction.text for instruction in candidates],
        [instruction.text for instruction in taken],
    )
    near = {instruction.candidate for instruction in duplicates}
    return [instruction for place, instruction in enumerate(candidates) if place not in near]


def _clusters(
    candidates: Sequence[Instruction], count: int, draw: random.Random
) -> list[Instruction]:
    """At least `count` instructions of each kind, drawn together with their near-duplicates.

    So an instruction that is taken costs the rest no near neighbour.
    """
    taken: list[Instruction] = []
    for group in _kinds(candidates):
        left, most = list(group), len(taken) + count
        while left and len(taken) < most:
            first = draw.choice(left)
            far = _far_from(left, [first])
            texts = {instruction.text for instruction in far}
            taken += [instruction for instruction in left if instruction.text not in texts]
            left = far
    return taken


def _kinds(instructions: Iterable[Instruction]) -> list[list[Instruction]]:
    by_kind: dict[str, list[Instruction]] = {}
    for instruction in instructions:
        by_kind.setdefault(instruction.kind, []).append(instruction)
    return list(by_kind.values())
