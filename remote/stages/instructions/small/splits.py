"""Which of the small world's instructions are for what, so that no two parts are near.

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
def division() -> Parts:
    """(train, development, held out, pool), pairwise disjoint, exactly and nearly."""
    known, held = split()
    draw = random.Random("division of the small world")  # noqa: S311 - not a secret
    rest = _far(known, held)
    development = _clusters(rest, DEVELOPMENT, draw)
    rest = _far(rest, development)
    pool = [one for group in _kinds(rest) for one in _clusters(group, POOL, draw)[:POOL]]
    return tuple(_far(rest, pool)), tuple(development), held, tuple(pool)


def _far(candidates: Sequence[Instruction], taken: Sequence[Instruction]) -> list[Instruction]:
    """Those of `candidates` that are near none of `taken`."""
    found = near_duplicates([one.text for one in candidates], [one.text for one in taken])
    near = {one.candidate for one in found}
    return [one for place, one in enumerate(candidates) if place not in near]


def _clusters(
    candidates: Sequence[Instruction], count: int, draw: random.Random
) -> list[Instruction]:
    """`count` or some more of each kind, drawn with all that are near them.

    So an instruction that is taken costs the rest no near neighbour.
    """
    taken: list[Instruction] = []
    for group in _kinds(candidates):
        left, most = list(group), len(taken) + count
        while left and len(taken) < most:
            first = draw.choice(left)
            far = _far(left, [first])
            texts = {one.text for one in far}
            taken += [one for one in left if one.text not in texts]
            left = far
    return taken


def _kinds(instructions: Iterable[Instruction]) -> list[list[Instruction]]:
    by_kind: dict[str, list[Instruction]] = {}
    for one in instructions:
        by_kind.setdefault(one.kind, []).append(one)
    return list(by_kind.values())
