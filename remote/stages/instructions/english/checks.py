"""Builders of the checks that the English instructions use."""

from __future__ import annotations

from collections.abc import Iterable

from ...verification.verifier import Check

SHORT = 25  # words that a fact may be told in

NUMBER_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def says(*values: str, case: bool = False) -> Check:
    """At least one of the values."""
    return {"check": "accepts", "values": list(values), "case": case}


def has(*values: str, case: bool = False) -> Check:
    """Every one of the values."""
    return {"check": "contains", "values": list(values), "case": case}


def lacks(values: Iterable[str]) -> Check:
    return {"check": "excludes", "values": list(values)}


def only(*values: str, case: bool = False) -> Check:
    """One of the values and nothing else."""
    return {"check": "answer", "values": list(values), "case": case}


def number(value: float, *given: float) -> Check:
    """This number and no other but the given ones."""
    return {"check": "number", "value": value, "given": list(given)}


def at_most(words: int = SHORT) -> Check:
    return {"check": "words", "at_most": words}


def words(least: int, most: int) -> Check:
    return {"check": "words", "at_least": least, "at_most": most}


def sentences(count: int) -> Check:
    return {"check": "sentences", "exactly": count}


def concludes(value: str, given: str) -> Check:
    """The response begins or ends with `value`, unless it does not contain `given`."""
    ends = [[{"check": "ends_with", "value": end}] for end in (value, f"{value}.")]
    return {
        "check": "any",
        "of": [[lacks([given])], [{"check": "starts_with", "value": value}], *ends],
    }


CLOSED: Check = {"check": "closed"}
VARIED: Check = {"check": "varied"}  # the words asked for, over and over, are no text
ONE_LINE: Check = {"check": "lines", "exactly": 1}


def spoken(values: Iterable[str]) -> str:
    """ "a, b and c"."""
    *first, last = values
    return f"{', '.join(first)} and {last}" if first else last


def article(word: str) -> str:
    """The word with "a" or "an"."""
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"
