"""Finds words in an order that no English statement has: "The of capital", "Samoa in is".

Only function words are looked at: what may stand beside them does not depend on what is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from .clashes import clash
from .words import Token, word_set

_ARTICLES = word_set("the a an")
_FINITE = word_set("is are was were has have had will be comes occurs does can would")
_NO_NOUN = _FINITE | word_set("in on to for as by than then after before plus minus and or of not")
_PREPOSITIONS = word_set("of in on at for from into by than after before to as per with")
_AFTER_PREPOSITION = word_set("is are was were will be comes occurs has does of and")
_NEVER_FIRST = word_set("of will be comes occurs has than is are plus or does have")
_NEVER_LAST = word_set("the a an of is are was were will be and or as than for comes")
_NEVER_LAST |= word_set("in to from plus minus my your our their very")
# Nor is this the end of what states a value, unless it is the value.
_NO_END_OF_A_VALUE = word_set("you we they he she which who where when that if")
# Written with a capital these open a sentence, or are quoted.
_OPENING = word_set(
    "The A An It That This These There After In On When At If And Of Is What Which How"
)
_OPENING |= word_set(
    "Say Name Describe Write Use Make Count Complete Calculate Express Convert Give"
)
_BETWEEN = word_set("by to for after and in on or with against than is")
_BREAKS = frozenset('.:!;,-\u2013\u2014("')


def disorder(
    found: Sequence[Token], value: tuple[int, int] | None = None, asks: bool = False
) -> str | None:
    """What is out of order in `found`, a statement or a question; None where nothing is.

    `value` is where the answer itself stands: it may be any word.
    """
    inside = range(*value) if value else range(0)
    for place, (first, second) in enumerate(pairwise(found)):
        if place in inside or place + 1 in inside:
            continue
        if place and found[place - 1].key == "letter":
            continue  # "the letter a occurs"
        if why := clash(first, second) or _pair(first, second):
            return why
        if (third := found[place + 2 : place + 3]) and _around(first, second, third[0]):
            return f"says {first.text} {second.text} {third[0].text}"
    return _ends(found, inside, asks)


def _pair(first: Token, second: Token) -> str | None:
    if _adjoining_numbers(first, second) or _out_of_order(first, second):
        return f"says {first.text} {second.text}"
    capital = second.text in _OPENING and len(first.text) > 1 and not first.text.isupper()
    if capital and first.text not in _BREAKS and (first.word or first.number is not None):
        return f"says {first.text} {second.text}"
    return None


def _around(first: Token, second: Token, third: Token) -> bool:
    """ "Finland you Finland", "is carrot is"; and not "side by side"."""
    if first.key in ("is", "are", "was") and third.key == first.key:
        return second.word and second.key not in ("what", "that", "it")
    alike = first.key == third.key and first.word and len(first.key) > 3
    return alike and second.word and second.key not in _BETWEEN


def _adjoining_numbers(first: Token, second: Token) -> bool:
    """ "48 69", and not "2 twos"."""
    return first.number is not None and second.number is not None and not first.spoken


def _out_of_order(first: Token, second: Token) -> bool:
    one, two = first.key, second.key
    if one in _ARTICLES and first.text != "A":
        return two in _NO_NOUN and second.text.islower()
    if one in _PREPOSITIONS:
        return two in _AFTER_PREPOSITION
    if one in ("is", "are", "be", "was", "were"):
        return two in ("of", "comes", "occurs", "has", "will", "is", "are")
    if one in ("plus", "minus"):
        return two in _FINITE
    return False


def _ends(found: Sequence[Token], inside: range, asks: bool) -> str | None:
    words = [
        n for n, token in enumerate(found) if token.word or token.time or token.number is not None
    ]
    if not words:
        return None
    first, last = words[0], words[-1]
    if asks:  # "What is this made of?"
        return None
    barred = _NEVER_LAST | (_NO_END_OF_A_VALUE if inside else frozenset())
    if found[last].key in barred and last not in inside:
        return f"ends on {found[last].text}"
    if first not in inside and not _may_open(found, first, inside):
        return f"begins with {found[first].text}"
    return None


def _may_open(found: Sequence[Token], first: int, inside: range) -> bool:
    """ "is Zn" opens with its value; "Of these, ..." and "Of 12, 8 and 30 ..." name a choice."""
    opening, following = found[first], found[first + 1 : first + 2]
    if opening.key not in _NEVER_FIRST:
        return True
    if opening.key in ("is", "are"):
        return bool(inside) and inside.start - first <= 2
    return opening.key == "of" and any(
        token.number is not None or token.key in ("these", "those", "them", "all")
        for token in following
    )
