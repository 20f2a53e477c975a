"""Finds the few kinds of nonsense that a rule can name, in a sentence that is well formed."""

from __future__ import annotations

from collections.abc import Sequence

from .words import Token, stem, word_set

_MINDS = word_set(
    """
ate eats eat eating drinks drank thinks thought says said knows knew believes believed swallowed
swallows chewed chews wrote writes reads
"""
)
_OBJECTS = word_set(
    """
table chair sofa couch desk shelf stool bench cupboard wardrobe lamp pillow carpet curtain
blanket bucket basket bottle barrel suitcase wallet hammer needle ladder spoon fork kettle
teapot helmet jacket sweater shirt ribbon pebble coin stone brick window door wall
"""
)
_COLOURS = word_set("blue red green yellow purple orange pink brown black white gray grey violet")
_ABSTRACT = word_set(
    """
idea thought truth freedom silence opinion reason number hour minute week yesterday tomorrow
honesty hope time music idea question answer word
"""
)
_AFTER_OF = word_set("the them us you these those my your his her its our their which whom")


def senseless(found: Sequence[Token]) -> str | None:
    """Objects that eat or think, coloured ideas, "seven of blue", capitals of chairs; or None."""
    for place, token in enumerate(found[:-1]):
        following = found[place + 1]
        if stem(token.key) in _OBJECTS and following.key in _MINDS:
            return f"has no sense: {token.text} {following.text}"
        if token.key in _COLOURS and stem(following.key) in _ABSTRACT:
            return f"has no sense: {token.text} {following.text}"
        if token.number is not None and following.key in _COLOURS and not found[place + 3 :]:
            return f"has no sense: {token.text} {following.text}"
        after = found[place + 2 : place + 3]
        if not (following.key == "of" and after):
            continue
        if token.number is not None and after[0].key not in _AFTER_OF and after[0].text.islower():
            return f"has no sense: {token.text} of {after[0].text}"
        if after[0].key in _COLOURS and not found[place + 3 : place + 4]:
            return f"has no sense: of {after[0].text}"
        if token.key == "capital" and not any(
            word.text[0].isupper() for word in found[place + 2 :]
        ):
            return "has no sense: the capital of no place"
    return None
