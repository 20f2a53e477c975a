"""Finds near-duplicates by the Jaccard similarity of character 5-grams; standard library only.

Two sets that share a share `threshold` of their grams share at least one of the few rarest of
each: only texts that meet there are compared. The measure knows nothing of meaning, and is strict
on purpose: two long instructions that differ in one letter are near even where their answers
differ.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

THRESHOLD = 0.8
_GRAM = 5  # characters
_SHORT, _LONG = 3, 5  # words of a text that is looked for inside others: "Say hi." stands in much
_SENTENCE = re.compile(r"[.!?:;\n\"\u201c\u201d]+")
_TOKEN = re.compile(r"\w+|[+*/=<>%]|(?<=\s)-(?=\s)")

Grams = frozenset[str]


@dataclass(frozen=True)
class NearDuplicate:
    """`candidates[candidate]` is near `against[other]`, the closest one of those."""

    candidate: int
    other: int
    similarity: float


def normalised(text: str) -> str:
    """`text` in lower case, without punctuation and with single spaces; keeps + - * / = < > %."""
    return " ".join(_TOKEN.findall(unicodedata.normalize("NFKC", text).casefold()))


def near_duplicates(
    candidates: Sequence[str], against: Sequence[str], threshold: float = THRESHOLD
) -> tuple[NearDuplicate, ...]:
    """The closest near-duplicate in `against` of each candidate that has one, in order."""
    candidate_grams, known = (
        [_grams(text) for text in candidates],
        [_grams(text) for text in against],
    )
    index = _Index([*candidate_grams, *known], threshold)
    for place, grams in enumerate(known):
        index.add(place, grams)
    duplicates = []
    for place, grams in enumerate(candidate_grams):
        best = max(index.near(grams), default=None)
        if best is not None:
            duplicates.append(NearDuplicate(place, -best[1], best[0]))
    return tuple(duplicates)


def overlaps(candidates: Sequence[str], against: Sequence[str]) -> tuple[NearDuplicate, ...]:
    """One finding for each candidate that is near a text of `against`, or holds one word for word
    (similarity 1), in order; empty is good.

    Words before or after a text make it less near, but not less known.
    """
    near = {duplicate.candidate: duplicate for duplicate in near_duplicates(candidates, against)}
    known = {normalised(known_text): place for place, known_text in enumerate(against)}
    long = {
        f" {known_text} ": place
        for known_text, place in known.items()
        if len(known_text.split()) >= _LONG
    }
    duplicates = []
    for place, text in enumerate(candidates):
        held = _contained(text, long, known)
        if held is not None:
            duplicates.append(NearDuplicate(place, held, 1.0))
        elif place in near:
            duplicates.append(near[place])
    return tuple(duplicates)


def _contained(text: str, long: Mapping[str, int], known: Mapping[str, int]) -> int | None:
    """The place of a text that `text` holds: a long one anywhere, a short one where a sentence
    begins or ends ("Add one and two." is not in "when you add one and two together")."""
    whole = f" {normalised(text)} "
    anywhere = next((place for known_text, place in long.items() if known_text in whole), None)
    if anywhere is not None:
        return anywhere
    sentences = [normalised(sentence).split() for sentence in _SENTENCE.split(text)]
    ends = (
        " ".join(part)
        for words in sentences
        for count in range(_SHORT, _LONG)
        for part in (words[:count], words[-count:])
    )
    return next(
        (
            known[part_text]
            for part_text in ends
            if part_text.count(" ") + 1 >= _SHORT and part_text in known
        ),
        None,
    )


def distinct(texts: Sequence[str], threshold: float = THRESHOLD) -> tuple[int, ...]:
    """The places of the texts that are not near-duplicates of an earlier one of them, in order."""
    every = [_grams(text) for text in texts]
    index = _Index(every, threshold)
    places = []
    for place, grams in enumerate(every):
        if not any(index.near(grams)):
            index.add(place, grams)
            places.append(place)
    return tuple(places)


def _grams(text: str) -> Grams:
    padded = f" {normalised(text)} "
    return frozenset(padded[n : n + _GRAM] for n in range(max(1, len(padded) - _GRAM + 1)))


class _Index:
    """Texts by the rarest of their grams; `every` is all that will be added or asked for."""

    def __init__(self, every: Sequence[Grams], threshold: float) -> None:
        self._count = Counter(gram for grams in every for gram in grams)
        self._threshold = threshold
        self._places: dict[str, list[int]] = {}
        self._texts: dict[int, Grams] = {}

    def add(self, place: int, grams: Grams) -> None:
        self._texts[place] = grams
        for gram in self._rarest(grams):
            self._places.setdefault(gram, []).append(place)

    def near(self, grams: Grams) -> Iterator[tuple[float, int]]:
        """(similarity, minus the place) of those that are near; the first of equals is largest."""
        met = {place for gram in self._rarest(grams) for place in self._places.get(gram, ())}
        for place in met:
            other = self._texts[place]
            shared = len(grams & other)
            similarity = shared / (len(grams) + len(other) - shared)
            if similarity >= self._threshold:
                yield similarity, -place

    def _rarest(self, grams: Grams) -> list[str]:
        """The rarest grams, so many that two near texts share at least one (prefix filtering)."""
        # Rounding must not make it one too few: 0.8 * 5 may be just above 4.
        needed = math.ceil(self._threshold * len(grams) - 1e-9)
        ordered = sorted(grams, key=lambda gram: (self._count[gram], gram))
        return ordered[: len(grams) - needed + 1]
