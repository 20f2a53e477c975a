"""The facts and words of the small world."""

from __future__ import annotations

from pathlib import Path

from ..word_lists import read_words

_WORDS = read_words(Path(__file__).with_name("words.json"))
CAPITALS: dict[str, str] = _WORDS["capitals"]
OPPOSITES: tuple[tuple[str, str], ...] = tuple(
    (first, second) for first, second in _WORDS["opposites"]
)
NUMBERS: tuple[str, ...] = tuple(_WORDS["numbers"])  # from zero
NOUNS: tuple[str, ...] = tuple(_WORDS["nouns"])
ADJECTIVES: tuple[str, ...] = tuple(_WORDS["adjectives"])
THINGS: tuple[str, ...] = tuple(_WORDS["things"])  # to be repeated, and written in capitals
# By category and first letter: three members, and nothing else in this world begins so.
KINDS: dict[str, dict[str, tuple[str, ...]]] = {
    kind: {letter: tuple(members) for letter, members in letters.items()}
    for kind, letters in _WORDS["kinds"].items()
}
