"""What may stand before a value that is stated: known words, the last of which leads to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .equations import operator, sums
from .statement_frame import Frame
from .words import Token, stem, tokens, word_set

MARKS = frozenset(",;:.!()-\u2013\u2014'")
COPULAS = word_set("is are = equals equal be")
_LEADING = COPULAS | word_set(
    """
: - \u2013 \u2014 comes called named means gives makes yields becomes reads spelled written says
say has have get gets then exactly next answer result sum make give yield contain contains leaves
leave total totals hold holds together altogether so thus hence therefore finally
"""
)
_LEADING_PAIRS = frozenset(
    {
        ("equal", "to"),
        ("amounts", "to"),
        ("converts", "to"),
        ("same", "as"),
        ("comes", "to"),
        ("up", "to"),
        ("translates", "to"),
        ("translated", "to"),
    }
)
# "The capital of Doha", "after Sunday": what follows these is what the value belongs to.
_BACKWARDS = word_set(
    "of after minus than before from by plus times and with over per between until since"
)
# "The continent of Africa": what is before "of" is the value itself.
BELONGING = word_set("continent city month day name word region part")


def is_known(frame: Frame, found: Sequence[Token], place: int, explained: Sequence[bool]) -> bool:
    token = found[place]
    if token.number is not None:
        return token.number in frame.numbers or explained[place]
    if token.time:
        return True  # other times are rivals
    if not token.word:
        return token.text in MARKS or token.text == "=" or bool(operator(token))
    if explained[place] or token.key in frame.known or stem(token.key) in frame.known:
        return True
    letters = token.key.replace("-", "")
    return "-" in token.key and (
        letters in frame.known or all(stem(part) in frame.known for part in token.key.split("-"))
    )


def explained_words(found: Sequence[Token]) -> list[bool]:
    """For each word whether it is part of a sum that is true."""
    inside = [False] * len(found)
    for first, last, right in sums(found):
        if right:
            inside[first : last + 1] = [True] * (last + 1 - first)
    return inside


def leads(
    check: Mapping[str, Any],
    frame: Frame,
    before: Sequence[Token],
    found: Sequence[Token],
    start: int,
) -> bool:
    """Whether nothing but known words stands before the value, and the last one leads to it."""
    explained = explained_words(found)
    if not all(is_known(frame, found, place, explained) for place in range(start)):
        return False
    words = list(before)
    articles = ("exactly", "(", *check.get("articles", ()))
    while words and words[-1].key in articles:
        words.pop()
    if not words:
        return True
    last = words[-1]
    if last.key == "to" and words[-2:-1] and words[-2].key == "next":  # to it, not in it
        return False
    if last.key in frame.before or last.key in check.get("links", ()):
        return not _subject_alone(check, words)
    if last.key in _BACKWARDS:
        owned = {*BELONGING, *check.get("nouns", ())} - {"capital"}
        if last.key != "of" or len(words) < 2 or words[-2].key not in owned:
            return False
        earlier = words[-3].key if len(words) > 2 else ""
        if words[-2].key not in BELONGING and earlier != "the":
            return False  # "east of Asia", and not "in the east of Asia"
        return earlier != "capital"  # "the capital city of Peru"
    if len(words) > 1 and (words[-2].key, last.key) in _LEADING_PAIRS:
        return True
    if last.text == ".":
        return len(words) > 2
    if operator(last) and words[-2:-1] and words[-2].number is not None:
        return explained[start]  # "20 + 26 = 46", and not "20 - 26"
    if last.key == "next" and words[-2:-1] and words[-2].number is not None:
        return False
    if last.key in _LEADING or operator(last):
        return not _subject_alone(check, words)
    return last.key in check.get("nouns", ())


def _subject_alone(check: Mapping[str, Any], words: Sequence[Token]) -> bool:
    """ "Rwanda is Kigali", "663 is 186": what is asked about is not the value itself."""
    if len(words) == 2 and words[0].number is not None and words[1].key in ("has", "have"):
        return True
    if words[-1].key not in COPULAS or len(words) < 2:
        return False
    subject = words[-2]
    if subject.number is not None and not subject.spoken:
        return sum(word.number is not None for word in words) == 1
    return any(subject.key == tokens(name)[-1].key for name in check.get("apart", ())) and not any(
        word.key in check.get("nouns", ()) for word in words
    )
