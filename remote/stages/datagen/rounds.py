"""Chooses the instructions of the next round; a pure function of the earlier results."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ..verification.instruction import Instruction

TRIES = 4  # samples of an instruction at most, until one of them is kept
SPARE = 4  # more than the observed rate asks for
LEAST_RATE = 0.2  # of kept responses, below which a round is not made larger


def next_round(
    instructions: Sequence[Instruction],
    attempts: Mapping[str, int],
    kept: Mapping[str, int],
    wanted: int,
    room: int,
    samples: int = TRIES,
    at_least: int | None = None,
) -> list[Instruction]:
    """The instructions of the next round, each once; none when enough are kept, no room is left or
    every instruction had its samples.

    `attempts` and `kept` count responses by the instruction's text. First those that were begun
    and have no kept response yet: else the data would hold what is easy. Then untried ones; then,
    below `at_least` only, second responses to those that have one: most repeat the first.
    """
    missing, tried = wanted - sum(kept.values()), sum(attempts.values())
    second = at_least is None or sum(kept.values()) < at_least
    if missing <= 0 or room <= 0:
        return []
    rate = max(LEAST_RATE, sum(kept.values()) / tried) if tried else 1.0
    count = min(room, math.ceil(missing / rate) + (SPARE if tried else 0))

    def rank(place: int) -> tuple[int, int, int] | None:
        text = instructions[place].text
        done = attempts.get(text, 0)
        if done >= samples:
            return None
        if kept.get(text, 0):
            return (2, done, place) if second else None
        return (0 if done else 1, done, place)

    ranked = filter(None, map(rank, range(len(instructions))))
    return [instructions[place] for *_, place in sorted(ranked)[:count]]
