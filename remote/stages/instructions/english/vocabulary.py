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
ALSO_PLURALS: dict[str, tuple[str, ...]] = {
    "scarf": ("scarfs",), "cactus": ("cactuses",), "fungus": ("funguses",),
    "medium": ("mediums",), "penny": ("pence",), "bus": ("busses",), "fish": ("fishes",),
    "salmon": ("salmons",), "roof": ("rooves",),
}  # fmt: skip
# By what completes an analogy, further words that do.
ALSO_ANALOGOUS: dict[str, tuple[str, ...]] = {
    "stingy": ("mean", "miserly", "selfish"), "burrow": ("den", "earth", "hole"),
    "refuse": ("reject", "decline"), "den": ("lair",), "depart": ("leave",),
    "cowardly": ("timid", "fearful"), "closed": ("shut",), "blunt": ("dull",),
    "quiet": ("silent",), "rude": ("impolite",), "modern": ("new",), "foal": ("colt", "filly"),
    "kennel": ("doghouse",), "defend": ("protect",), "enemy": ("foe",), "weak": ("feeble",),
    "decrease": ("reduce",),
}  # fmt: skip
ALSO_SAID: dict[str, tuple[str, ...]] = {
    "Fortune favors the": ("brave",),
    "The squeaky wheel gets the": ("oil",),
}
ELEMENTS: Pairs = _VOCABULARY["elements"]
# By verb, a frame in which its past makes a sentence; the others stand in any frame.
PAST_FRAMES: Pairs = word_list("verb_frames")
SAYINGS: Pairs = _VOCABULARY["sayings"]  # the beginning, and the end that completes it
