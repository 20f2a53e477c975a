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
MANY_OF_A_LETTER = _TOPICS["many_of_a_letter"]  # have a letter three or four times
SIMPLE_WORDS = _TOPICS["simple_words"]
SENTENCES = _TOPICS["sentences"]  # without their full stop
COUNTED_SENTENCES = _TOPICS["counted_sentences"]  # of four and of seven to nine words
