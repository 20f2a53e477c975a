"""Words in pairs: tenses, plurals, opposites, translations, chemical symbols, sayings."""

from __future__ import annotations

from .word_lists import word_list

_VOCABULARY = word_list("vocabulary")
Pairs = dict[str, str]

PAST: Pairs = _VOCABULARY["past"]
PLURALS: Pairs = _VOCABULARY["plurals"]
OPPOSITES: Pairs = _VOCABULARY["opposites"]
YOUNG: Pairs = _VOCABULARY["young"]  # of animals
HOMES: Pairs = _VOCABULARY["homes"]  # of animals
SPANISH: Pairs = _VOCABULARY["spanish"]
# Further translations that are accepted, such as those without accents.
ALSO_SPANISH: dict[str, tuple[str, ...]] = {
    word: tuple(others) for word, others in _VOCABULARY["also_spanish"].items()
}
ELEMENTS: Pairs = _VOCABULARY["elements"]
SAYINGS: Pairs = _VOCABULARY["sayings"]  # the beginning, and the end that completes it
