"""Whether a response says again what its canonical answer says, in the same words and order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .statement_frame import Frame, same
from .words import NEUTRAL, Token, word_set

DENIALS = word_set("not no never neither nor none nobody nothing")


def in_its_order(
    check: Mapping[str, Any], frame: Frame, before: Sequence[Token], after: Sequence[Token]
) -> bool:
    """Whether what is said again of the canonical answer is in its words and order.

    Only of a check with `verbatim`: of a saying or a sentence to be completed. What stands before
    the words beside the value has none of its words, and no denial.
    """
    if not check.get("verbatim"):
        return True
    colon = next((n for n, token in enumerate(before) if token.text == ":"), -1)
    said = (_spoken_words(before[colon + 1 :])[::-1], _spoken_words(after))
    whole = _canonical_sides(frame)
    for words, canonical in zip(said, whole, strict=True):
        common = 0
        while common < min(len(words), len(canonical)) and words[common] == canonical[common]:
            common += 1
        if common > 2 and any(word in DENIALS for word in canonical[common:]):
            return False  # "Judge a book by its cover"
        again = {word for side in whole for word in side if common or word not in NEUTRAL}
        if any(word in again | DENIALS for word in words[common:]):
            return False
    return True


def _canonical_sides(frame: Frame) -> tuple[list[str], list[str]]:
    """The words before the value in the canonical answer, from the value on, and those after."""
    for value in frame.values:
        for place in range(len(frame.answer) - len(value) + 1):
            if same(frame.answer[place : place + len(value)], value, case=False):
                after = frame.answer[place + len(value) :]
                return _spoken_words(frame.answer[:place])[::-1], _spoken_words(after)
    return [], []


def _spoken_words(found: Sequence[Token]) -> list[str]:
    return [token.key for token in found if token.word or token.number is not None]
