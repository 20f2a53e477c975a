"""Reads numbers that are written in English words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_UNITS = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SMALL = {word: value for value, word in enumerate(_UNITS)} | {
    word: 10 * (place + 2) for place, word in enumerate(_TENS)
}
_LARGE = {"hundred": 100, "thousand": 1_000, "million": 1_000_000}


@dataclass(frozen=True)
class NumberWord:
    """`value`, written in the words up to the one at `end`."""

    value: int
    end: int


def spoken_number(words: Sequence[str], start: int) -> NumberWord | None:
    """The number that begins at `start`; None where there is none, or only "one"."""
    total = part = 0
    place, last = start, start
    read = False
    while place < len(words):
        pieces = words[place].casefold().split("-")
        if words[place].casefold() in ("and", "a") and (read or pieces == ["a"]):
            following = words[place + 1].casefold() if place + 1 < len(words) else ""
            if pieces == ["a"] and (read or following not in _LARGE):
                break
            if pieces == ["and"] and not (part % 100 == 0 and part + total and _number(following)):
                break
            part = 1 if pieces == ["a"] else part
            place += 1
            continue
        if not all(_number(piece) for piece in pieces) or not _follows(pieces, part, read):
            break
        for piece in pieces:
            total, part = _add(piece, total, part)
        read = True
        place += 1
        last = place
    alone = last == start + 1 and words[start].casefold() == "one"
    return NumberWord(total + part, last) if read and not alone else None


def _number(word: str) -> bool:
    return all(piece in _SMALL or piece in _LARGE for piece in re.split("-", word.casefold()))


def _follows(pieces: Sequence[str], part: int, read: bool) -> bool:
    """ "two three" are two numbers: after tens only units follow, after units only "hundred"."""
    first = pieces[0]
    if not read or first in _LARGE:
        return True
    small = _SMALL[first]
    return part % 100 == 0 or (part % 10 == 0 and part % 100 >= 20 and 0 < small < 10)


def _add(piece: str, total: int, part: int) -> tuple[int, int]:
    if piece == "hundred":
        return total, (part or 1) * 100
    if piece in _LARGE:
        return total + (part or 1) * _LARGE[piece], 0
    return total, part + _SMALL[piece]


def in_words(value: int) -> str:
    """`value`, from 0 to 999,999, in words: "three hundred and fifty-two"."""
    if value < 20:
        return _UNITS[value]
    if value < 100:
        return _TENS[value // 10 - 2] + (f"-{_UNITS[value % 10]}" if value % 10 else "")
    if value < 1000:
        rest = f" and {in_words(value % 100)}" if value % 100 else ""
        return f"{_UNITS[value // 100]} hundred{rest}"
    rest = f" {in_words(value % 1000)}" if value % 1000 else ""
    return f"{in_words(value // 1000)} thousand{rest}"
