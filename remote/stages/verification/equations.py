"""Reads sums that are written out in a response, and says which of them are false."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal, DivisionByZero, InvalidOperation

from .words import Token, word_set

_OPERATORS = {
    "+": "+", "plus": "+", "-": "-", "minus": "-", "\u2013": "-", "*": "*", "x": "*", "\u00d7": "*",
    "times": "*", "\u00b7": "*", "/": "/", "\u00f7": "/",
}  # fmt: skip
_EQUALS = ("=", "is", "equals", "are", "makes", "gives")


def operator(token: Token) -> str | None:
    """The sign of an operation that `token` is, or None."""
    return None if token.number is not None else _OPERATORS.get(token.key)


def sums(tokens: Sequence[Token]) -> list[tuple[int, int, bool]]:
    """(start, end, whether it is true) of each sum of two or more numbers with its result.

    Both "4 * 13 = 52" and "52 = 4 * 13" are sums; units between the numbers are passed over.
    """
    places = [place for place, token in enumerate(tokens) if _counts(token)]
    found = []
    for start in range(len(places)):
        for equals in range(start + 1, len(places)):
            if tokens[places[equals]].key not in _EQUALS or tokens[places[equals]].number:
                continue
            left, right = _term(tokens, places, equals, -1), _term(tokens, places, equals, 1)
            if left and right and left[0] == start and max(left[2], right[2]) > 1:
                first, last = places[left[0]], places[right[0]]
                found.append((first, last, left[1] == right[1]))
    return found


def _counts(token: Token) -> bool:
    """Numbers, operators and signs of equality; other words only stand between them."""
    return token.number is not None or token.key in _OPERATORS or token.key in _EQUALS


def _term(
    tokens: Sequence[Token], places: Sequence[int], equals: int, step: int
) -> tuple[int, Decimal, int] | None:
    """(last place, value, numbers) of the term on one side of the sign of equality."""
    chosen: list[int] = []
    place = equals + step
    while 0 <= place < len(places):
        token = tokens[places[place]]
        if (token.number is None) != bool(len(chosen) % 2):
            break
        if token.number is None and operator(token) is None:
            break
        if _apart(tokens, places[place], places[chosen[-1] if chosen else equals]):
            break
        chosen.append(place)
        place += step
    if chosen and len(chosen) % 2 == 0:
        chosen.pop()
    if not chosen:
        return None
    ordered = chosen if step > 0 else chosen[::-1]
    value = _value([tokens[places[place]] for place in ordered])
    return None if value is None else (chosen[-1], value, (len(chosen) + 1) // 2)


def _apart(tokens: Sequence[Token], first: int, second: int) -> bool:
    """Whether more than a unit stands between two places, or another clause begins there."""
    low, high = sorted((first, second))
    between = tokens[low + 1 : high]
    return len(between) > 2 or any(not token.word or token.key in _CLAUSES for token in between)


_CLAUSES = word_set("so and then one it that because since which next")


def _value(term: Sequence[Token]) -> Decimal | None:
    """The value of numbers and operators in turn; multiplication and division first."""
    parts: list[Decimal] = []
    sign = "+"
    for token in term:
        if token.number is None:
            sign = operator(token) or "+"
            continue
        number = token.number
        try:
            if sign == "*":
                parts[-1] *= number
            elif sign == "/":
                parts[-1] /= number
            else:
                parts.append(-number if sign == "-" else number)
        except (DivisionByZero, InvalidOperation):
            return None
    return sum(parts, Decimal(0))


def false_sum(tokens: Sequence[Token]) -> str | None:
    """The first sum that does not come out, as it is written; or None."""
    for first, last, right in sums(tokens):
        if not right:
            return re.sub(r"\s+", " ", " ".join(token.text for token in tokens[first : last + 1]))
    return None
