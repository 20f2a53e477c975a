"""The check `decides`: whether a response answers a question with yes or with no.

The word comes first, or after a lead-in such as "The answer is". What follows must not take it
back: a denial after "Yes", the question affirmed after "No", or a sum that is false.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from .clashes import DETERMINERS, clash
from .equations import false_sum
from .repetition import STOP_WORDS
from .statement import unfit
from .statement_frame import doubt
from .words import DOUBT, REASONS, Token, stem, tokens, word_set

_LEAD = word_set("the answer is it to this that question response final correct right : ,")
_DENIALS = word_set("not no never neither nor none nothing nowhere nobody without cannot")
_PRONOUNS = word_set("it they he she this that these those you one there")
_AUXILIARIES = word_set("is are was were do does did can could will would has have be")
_SHARE = 0.75  # of the question's words, from which on it is said again
_MOST_TIMES = 2  # that the word may be said
MOST = 25  # words


def decides(check: Mapping[str, Any], text: str) -> str | None:
    """Why `text` does not decide for `check`'s value, Yes or No; None where it does."""
    if why := unfit(text):
        return why
    found = tokens(text)
    right, question = check["value"].casefold(), tokens(check["question"])
    place = next((n for n, token in enumerate(found) if token.key in ("yes", "no")), None)
    if place is None or found[place].key != right:
        return f"does not say {check['value']}"
    if any(token.key not in _LEAD for token in found[:place]) or len(found) > 2 * MOST:
        return f"does not begin with {check['value']}"
    if place and found[place - 1].key not in ("is", ":", ",", "answer"):
        return f"does not begin with {check['value']}"
    if sum(token.key == right for token in found) > _MOST_TIMES:
        return "says the same again and again"
    rest = found[place + 1 :]
    if not any(token.word or token.number is not None for token in rest):
        return None
    if why := _no_clause(rest):
        return why
    if rest[0].word and (rest[0].key == "one" or rest[0].key not in (*_PRONOUNS, *REASONS)):
        return f"does not end after {check['value']}"
    return _taken_back(right, rest, question)


def _no_clause(rest: Sequence[Token]) -> str | None:
    """Why `rest` is a row of words: two that never stand together, or a last one that is no end."""
    if why := next((why for pair in pairwise(rest) if (why := clash(*pair))), None):
        return why
    last = [token.key for token in rest if token.word or token.number is not None][-1:]
    return f"ends on {last[0]!r}" if last and last[0] in DETERMINERS | {"of", "and", "or"} else None


def _taken_back(right: str, rest: Sequence[Token], question: Sequence[Token]) -> str | None:
    if wrong := false_sum(rest):
        return f"is false: {wrong}"
    asked_words = {token.key for token in question}
    condition = next((t.text for t in rest if t.key in _CONDITIONS - asked_words), None)
    if condition:
        return f"on a condition: {condition!r}"
    if _turned_round(rest, question):
        return "its numbers are the other way round"
    others = rest if right == "no" else rest[:2]
    if any(token.key in ("yes", "no") and token.key != right for token in others):
        return "says yes and no"
    denials = [token for token in rest if token.key in _DENIALS]
    if right == "yes":
        allowed = Counter(t.key for t in question if t.key in DOUBT - {"no", "or", "not"})
        if word := doubt([t for t in rest if not _zero(t, rest)], allowed):
            return f"yes, and then {word!r}"
        if _leaves_remainder(rest):
            return "yes, and then a remainder"
        return None if _yes_fits(rest, question) else "yes, and then something else"
    hedges = [token for token in rest if token not in denials]
    allowed = Counter(token.key for token in question if token.key in DOUBT)
    allowed.update(("but", "although", "though", "however", "rather", "instead", "different"))
    if word := doubt(hedges, allowed):
        return f"no, and then {word!r}"
    if not denials and (_affirms(rest, question) or any(t.key == "evenly" for t in rest)):
        return "no, and then the question affirmed"
    return None


_CONDITIONS = word_set("if unless provided assuming sometimes partly formerly only once")
_TURNED = word_set("divides goes fits factor divisor times multiplied =")


def _turned_round(rest: Sequence[Token], question: Sequence[Token]) -> bool:
    """ "9 is divisible by 855" where 855 and 9 are asked about, and not "9 divides 855"."""
    clause = _clause(rest)
    numbers = [token.number for token in question if token.number is not None]
    said = [token.number for token in clause if token.number in numbers]
    if any(token.key in _TURNED for token in clause) or len(numbers) < 2:
        return False
    return bool(said) and said == numbers[: len(said)][::-1] and said != numbers[: len(said)]


def _zero(token: Token, rest: Sequence[Token]) -> bool:
    """The denial in "no remainder" and "without a remainder"."""
    remainder = any(other.key.startswith("remainder") for other in rest)
    return remainder and token.key in ("no", "without")


def _leaves_remainder(rest: Sequence[Token]) -> bool:
    keys = [token.key for token in rest]
    if not any(key.startswith("remainder") for key in keys):
        return False
    return not ({"no", "without", "zero", "0"} & set(keys))


def _content(found: Sequence[Token]) -> list[str]:
    words = [
        stem(token.key)
        for token in found
        if (token.word or token.number is not None)
        and token.key not in STOP_WORDS
        and token.key not in ("yes", "no", "answer", "only")
    ]
    return list(dict.fromkeys(words))


def _clause(rest: Sequence[Token]) -> list[Token]:
    """The words up to a reason or the end of the sentence."""
    words = list(rest)
    while words and not (words[0].word or words[0].number is not None):
        words.pop(0)
    for place, token in enumerate(words):
        if token.key in REASONS or token.text in (".", ";", "!"):
            return words[:place]
    return words


def _yes_fits(rest: Sequence[Token], question: Sequence[Token]) -> bool:
    """What follows "Yes" is a reason, speaks of "it", or says the question again."""
    clause = _clause(rest)
    asked, said = _content(question), _content(clause)
    if not clause or not said or clause[0].key in _PRONOUNS:
        return True
    if any(token.text == "=" for token in clause):
        return True
    again = sum(word in said for word in asked)
    return again >= _SHARE * len(asked) or asked[0] not in said


def _affirms(rest: Sequence[Token], question: Sequence[Token]) -> bool:
    """Whether the first clause says what was asked, with a pronoun for its subject or without."""
    clause = _clause(rest)
    if not clause:
        return False
    asked, said = _content(question), _content(clause)
    predicate = asked[1:]
    pronoun = clause[0].key in _PRONOUNS
    again = sum(word in said for word in asked) + (pronoun and asked[:1] != said[:1])
    repeated = any(_alike(word, other) for word in said for other in predicate)
    if not said:  # "No, it is."
        return pronoun and clause[-1].key in _AUXILIARIES
    new = [word for word in said if not any(_alike(word, other) for other in asked)]
    return again >= _SHARE * len(asked) or (repeated and not new)


def _alike(first: str, second: str) -> bool:
    """ "divisible" and "divided" begin alike."""
    return first == second or (len(first) > 5 and len(second) > 5 and first[:5] == second[:5])
