"""Chooses the instructions of the next round; a pure function of the earlier results."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ..verification.instruction import Instruction

TRIES = 4  # of an instruction without a kept response, before others get a second one
SPARE = 4  # more than the observed rate asks for
LEAST_RATE = 0.2  # of kept responses, below which a round is not made larger


def next_round(
    instructions: Sequence[Instruction],
    attempts: Mapping[str, int],
    kept: Mapping[str, int],
    wanted: int,
    room: int,
) -> list[Instruction]:
    """The instructions of the next round, each once; none when enough are kept or no room is left.

    `attempts` and `kept` count responses by the instruction's text. First those without a kept
    response, least tried first; then second responses to others.
    """
    missing, tried = wanted - sum(kept.values()), sum(attempts.values())
    if missing <= 0 or room <= 0:
        return []
    rate = max(LEAST_RATE, sum(kept.values()) / tried) if tried else 1.0
    count = min(room, math.ceil(missing / rate) + (SPARE if tried else 0))

    def rank(place: int) -> tuple[bool, int, int]:
        text = instructions[place].text
        done = attempts.get(text, 0)
        return (kept.get(text, 0) > 0 or done >= TRIES, done, place)

    order = sorted(range(len(instructions)), key=rank)
    return [instructions[place] for place in order[:count]]
