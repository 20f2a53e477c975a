"""What instructions of one kind have in common: the same task in other words, the same value."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from ...verification.instruction import Instruction

MOST_VALUES = 12  # of a kind whose parts have every value in the same share
_NUMBERS = re.compile(r"\d+(?::\d+)?")
_SEQUENCE = "number sequence"


def same_task(first: Instruction, second: Instruction) -> bool:
    """Whether two instructions of a kind ask for the same in other words.

    They do with equal canonical answers where their numbers are equal, too, in any order; so do a
    row of names and the same row from one place further on, and two such sequences of numbers.
    """
    if first.kind == second.kind == _SEQUENCE:
        return _shifted(_terms(first), _terms(second))
    if first.answer.casefold() != second.answer.casefold():
        return False
    if first.kind == "ordered names":
        return True
    numbers = sorted(_NUMBERS.findall(first.text))
    return bool(numbers) and numbers == sorted(_NUMBERS.findall(second.text))


def _terms(instruction: Instruction) -> list[str]:
    return [*_NUMBERS.findall(instruction.text), instruction.value]


def _shifted(first: list[str], second: list[str]) -> bool:
    """Whether one sequence is the other, or goes on from its second number."""
    return first == second or first[1:] == second[:-1] or second[1:] == first[:-1]


def by_task(instructions: Sequence[Instruction]) -> list[list[Instruction]]:
    """The instructions by task, in the order of the first of each."""
    tasks: list[list[Instruction]] = []
    for instruction in instructions:
        matching = [task for task in tasks if any(same_task(instruction, other) for other in task)]
        if not matching:
            tasks.append([instruction])
            continue
        matching[0].append(instruction)
        for task in matching[1:]:  # which `instruction` links to the first
            matching[0] += task
            tasks.remove(task)
    return tasks


def spread(made: Sequence[Instruction], draw: random.Random) -> list[Instruction]:
    """In an order in which every stretch has each value in about the same share.

    Only where there are few values: then a part could else have one of them most of the time.
    """
    groups: dict[str, list[int]] = {}
    for place, instruction in enumerate(made):
        groups.setdefault(instruction.value.casefold(), []).append(place)
    if len(groups) > MOST_VALUES:
        return list(made)
    ranks: dict[int, float] = {}
    for places in groups.values():
        offset = draw.random()
        ranks |= {place: (n + offset) / len(places) for n, place in enumerate(places)}
    return [made[place] for place in sorted(ranks, key=ranks.__getitem__)]
