"""Near-duplicates by shared character 5-grams (Jaccard); standard library only.

Each text is a set of 5-grams, kept as the bits of one integer: 2,000 against 2,000 texts take
about two seconds. The measure knows nothing of meaning, and is strict on purpose: two long
instructions that differ in one letter count as near even where their answers differ.
"""

from __future__ import annotations

import math
import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

THRESHOLD = 0.8
_GRAM = 5  # characters
_TOKEN = re.compile(r"\w+|[+*/=<>%]|(?<=\s)-(?=\s)")


@dataclass(frozen=True)
class Near:
    """`candidates[candidate]` is near `against[other]`, the closest one of those."""

    candidate: int
    other: int
    similarity: float


def normalised(text: str) -> str:
    """`text` without case, punctuation and runs of blanks; signs of arithmetic stay."""
    return " ".join(_TOKEN.findall(unicodedata.normalize("NFKC", text).casefold()))


def near_duplicates(
    candidates: Sequence[str], against: Sequence[str], threshold: float = THRESHOLD
) -> tuple[Near, ...]:
    """One finding for each candidate that is near a text of `against`, in order; empty is good."""
    bits = _Bits()
    # By size: only texts of about the same length can be near.
    others = sorted((*bits.of(text), place) for place, text in enumerate(against))
    found = []
    for place, text in enumerate(candidates):
        size, mask = bits.of(text)
        first = bisect_left(others, (math.ceil(size * threshold),))
        last = bisect_left(others, (math.floor(size / threshold) + 1,))
        best = max(_similar(size, mask, others[first:last], threshold), default=None)
        if best is not None:
            found.append(Near(place, -best[1], best[0]))
    return tuple(found)


def distinct(texts: Sequence[str], threshold: float = THRESHOLD) -> tuple[int, ...]:
    """The places of the texts that are near none kept before them, in order."""
    bits = _Bits()
    kept: list[tuple[int, int, int]] = []
    for place, text in enumerate(texts):
        size, mask = bits.of(text)
        if not any(_similar(size, mask, kept, threshold)):
            kept.append((size, mask, place))
    return tuple(place for _, _, place in kept)


class _Bits:
    """The 5-grams of texts as bits, one number for each gram seen."""

    def __init__(self) -> None:
        self._number: dict[str, int] = {}

    def of(self, text: str) -> tuple[int, int]:
        """(how many grams, their bits)."""
        padded = f" {normalised(text)} "
        grams = {padded[n : n + _GRAM] for n in range(max(1, len(padded) - _GRAM + 1))}
        mask = 0
        for gram in grams:
            mask |= 1 << self._number.setdefault(gram, len(self._number))
        return len(grams), mask


def _similar(
    size: int, mask: int, others: Iterable[tuple[int, int, int]], threshold: float
) -> Iterable[tuple[float, int]]:
    """(similarity, minus the place) of those that are near; the first of equals is the largest."""
    for other_size, other, place in others:
        if min(size, other_size) < threshold * max(size, other_size):
            continue  # so different in length that they cannot be near
        shared = (mask & other).bit_count()
        similarity = shared / (size + other_size - shared)
        if similarity >= threshold:
            yield similarity, -place
