"""Detects text that repeats the same few words; standard library only."""

from __future__ import annotations

import re
from collections import Counter
from itertools import chain, pairwise

VARIED = 0.7  # share of different words from which on nothing is asked
OFTEN = 2  # times that a word with a meaning may come below that share
_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)?")
_STOP_WORDS = """
a an the this that these those and or but nor so yet if than then as at by for from in into of off
on onto out over to under up with about i you he she it we they me him her us them my your his its
our their mine yours is are was were be been being am do does did has have had will would can could
may might must shall should not no yes there here who which what when where why how all any some
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())


def monotony(text: str) -> str | None:
    """A word that `text` repeats too often, or None.

    None where at least the share VARIED of the words differs, or where no word but stop words
    occurs more than OFTEN times and none twice in a row.
    """
    words = [word.casefold() for word in _WORD.findall(text)]
    counts = Counter(words)
    if len(counts) >= VARIED * len(words):
        return None
    often = (word for word, count in counts.items() if count > OFTEN and word not in STOP_WORDS)
    twice = (first for first, second in pairwise(words) if first == second)
    return next(chain(often, twice), None)
