"""Names, nouns and sentences that the templates are filled with."""

from __future__ import annotations

from .word_lists import word_list

_TOPICS: dict[str, tuple[str, ...]] = {
    name: tuple(words) for name, words in word_list("topics").items()
}
PEOPLE = _TOPICS["people"]
CITIES = _TOPICS["cities"]
PLACES = _TOPICS["places"]
THINGS = _TOPICS["things"]  # concrete nouns, each with a plural in -s
LONG_WORDS = _TOPICS["long_words"]
SIMPLE_WORDS = _TOPICS["simple_words"]
SENTENCES = _TOPICS["sentences"]  # without their full stop
