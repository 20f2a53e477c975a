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


def states(question: str, answer: str, *values: str, **more: object) -> Check:
    """One of the values is stated, in answer to `question`; `answer` is the canonical one.

    `more` are the further fields of the check, as `verifier` lists them.
    """
    fields = {"question": question, "answer": answer, "values": list(values)}
    return {"check": "states", **fields, **{name: _plain(value) for name, value in more.items()}}


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple | set | frozenset) else value


def states_number(question: str, answer: str, value: float, *given: float, **more: object) -> Check:
    """This number is stated; in digits where the question asks for them."""
    wanted = {"digits": True} if "digits" in question else {}
    return states(question, answer, f"{value:g}", given=given, **wanted, **more)


def ends(question: str, right: str, **more: object) -> Check:
    """`right` and nothing after it; a lead-in of the words of `question` may stand before it."""
    return states(question, "", right, text=right, last=True, **more)


def decides(value: str, question: str) -> Check:
    """Yes or no, which nothing that follows takes back."""
    return {"check": "decides", "value": value, "question": question}


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


def written(question: str, **more: object) -> Check:
    """Neither a refusal, nor the instruction itself, nor a row of words that is no sentence."""
    return {"check": "written", "question": question, **more}


def has_thing(thing: str, *pronouns: str) -> Check:
    """`thing` in the singular or plural, or a pronoun for it."""
    return {"check": "accepts", "values": [thing, f"{thing}s", *pronouns]}


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
