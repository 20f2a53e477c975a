"""Finds what prompts have in common at their start, so that it is computed once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import takewhile

LEAST_TOKENS = 24  # shorter prefixes are not worth their copy
LEAST_PROMPTS = 4
_KEY = 48  # tokens that prompts of one group begin with


def shared_prefixes(prompts: Sequence[Sequence[int]]) -> list[tuple[int, ...]]:
    """For each prompt the beginning that it shares with others; () where none is worth it.

    At least one token of a prompt stays outside, since its answer begins after that.
    """
    groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for place, prompt in enumerate(prompts):
        groups[tuple(prompt[: min(_KEY, len(prompt) - 1)])].append(place)
    prefixes: list[tuple[int, ...]] = [()] * len(prompts)
    for places in groups.values():
        common = _common([prompts[place] for place in places])
        if len(places) >= LEAST_PROMPTS and len(common) >= LEAST_TOKENS:
            for place in places:
                prefixes[place] = common
    return prefixes


def _common(prompts: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """What all begin with, less than the whole of the shortest."""
    ordered = sorted(map(tuple, prompts))
    first, last = ordered[0], ordered[-1]  # the least alike
    same = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return tuple(token for token, _ in same)[: min(map(len, prompts)) - 1]
