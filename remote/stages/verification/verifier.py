"""Machine-checkable specifications of a correct response; standard library only.

A specification is a list of checks, each a JSON object with a `check` field; a response is correct
when every check holds. Length and punctuation alone never make a response correct: each
specification of the instruction sets also names facts.

    contains     values, [case]          every value occurs as whole words
    accepts      values, [case]          at least one value occurs as whole words
    excludes     values, [case]          none occurs
    occurs       value, exactly          the word occurs exactly so often
    repeats      value, exactly          the word stands exactly so often in a row, and nowhere else
    items        accepted, exactly       after the last colon: so many distinct items, all accepted
    sentences    [at_least], [at_most]   sentences by their final punctuation
    words        [at_least], [at_most]
    characters   [at_least], [at_most]
    lines        [at_least], [at_most]   lines with something on them
    starts_with  value                   ignoring case
    ends_with    value
    case         value upper|lower       every letter
    json_keys    keys                    a JSON object with exactly these keys
    json         object                  this JSON object; the case of texts is ignored
    answer       values, [case]          nothing but one of the values; quotes and final
                                         punctuation are ignored
    number       value, [given], [also]  says this number, in digits or as one of the words `also`,
                                         and no other but those that were `given`
    listed       style, accepted         a list of lines and nothing else, style numbered or
                                         bulleted; distinct items, all accepted
    separated    accepted                the same in one line, with commas
    sequence     values, [separator]     these items in this order, in one line or one a line; only
                                         with commas where the separator is comma
    closed       [signed]                ends as a sentence does; a signature may follow
    varied                               is more than the same few words again and again
    lacks_letters values                 none of these letters
    states       question, values, ...   one of the values is stated in answer to the question,
                                         with no denial, doubt or second value; see `statement`
    decides      question, value         Yes or No, which nothing that follows takes back
    written      question                a free text that neither declines nor repeats the
                                         instruction, and is no mere row of words
    begins_among values, within          one of the values is among the first `within` words
    critic                               never holds: no rule can judge this
    any          of                      at least one of these lists of checks holds

Every count may also be given as `exactly`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence

from .matching import Check, between, count_occurrences
from .rules import RULES

__all__ = ["Check", "VerifierError", "verify"]


class VerifierError(ValueError):
    """The specification is invalid: an unknown check, or a missing or wrong field."""


def verify(checks: Sequence[Check], response: str) -> tuple[str, ...]:
    """Why `response` is wrong, one reason a failed check; empty when it is correct."""
    if not checks:
        raise VerifierError("no checks: nothing would make this response wrong")
    reasons = (_apply(check, response.strip()) for check in checks)
    return tuple(reason for reason in reasons if reason is not None)


def _apply(check: Check, text: str) -> str | None:
    name = check.get("check") if isinstance(check, Mapping) else None
    rule = _RULES.get(name) if isinstance(name, str) else None
    if rule is None:
        raise VerifierError(f"unknown check {name!r}; known: {', '.join(sorted(_RULES))}")
    try:
        return rule(check, text)
    except (KeyError, TypeError, AttributeError) as error:
        raise VerifierError(f"check {name}: field missing or of a wrong type: {error}") from error


def _contains(check: Check, text: str) -> str | None:
    missing = [
        v for v in check["values"] if not count_occurrences(v, text, bool(check.get("case")))
    ]
    return f"lacks {', '.join(missing)}" if missing else None


def _accepts(check: Check, text: str) -> str | None:
    if any(count_occurrences(v, text, bool(check.get("case"))) for v in check["values"]):
        return None
    return f"none of the accepted answers: {', '.join(check['values'][:5])}"


def _excludes(check: Check, text: str) -> str | None:
    extra = [v for v in check["values"] if count_occurrences(v, text, bool(check.get("case")))]
    return f"must not have {', '.join(extra)}" if extra else None


def _occurs(check: Check, text: str) -> str | None:
    count, need = count_occurrences(check["value"], text, False), check["exactly"]
    return None if count == need else f"{check['value']!r} {count} times, need {need}"


def _repeats(check: Check, text: str) -> str | None:
    word, need = re.escape(check["value"]), check["exactly"]
    run = re.search(rf"(?<!\w){word}(?:,? {word}){{{need - 1}}}(?!\w)", text, re.IGNORECASE)
    if run is None:
        return f"{check['value']!r} does not stand {need} times in a row"
    return _occurs(check, text)


def _items(check: Check, text: str) -> str | None:
    _, colon, tail = text.rpartition(":")
    if not colon:
        return "no list after a colon"
    items = [p.strip(" .\n").lower() for p in re.split(r",|\band\b", tail) if p.strip(" .\n")]
    accepted = {value.lower() for value in check["accepted"]}
    wrong = [item for item in items if item not in accepted]
    if wrong:
        return f"not accepted: {', '.join(wrong[:3])}"
    if len(items) != check["exactly"] or len(set(items)) != len(items):
        return f"{len(set(items))} distinct items of {len(items)}, need {check['exactly']}"
    return None


# In quotes it ends the sentence, unless this goes on: She said, "Stop!" and left.
_END = re.compile(r"[.!?](?:(?=\s|$)|[\"'\u201d\u2019)]+(?=\s+[^a-z\s]|\s*$))")
_ABBREVIATION = re.compile(
    r"\b(?:(?:Mr|Mrs|Ms|Dr|Prof|Rev|Jr|Sr|St|Mt|vs|etc|approx|no|e\.g|i\.e)\.(?=\s+\S)"
    r"|[ap]\.m\.(?=\s+[a-z(])|[A-Z]\.(?=\s*[A-Z]))|(?:\.\.\.|\u2026)(?=\s*[a-z])",
    re.IGNORECASE,
)
_INITIAL = re.compile(r"(?<!\w)[A-HJ-Z]\.(?=\s+[A-Z])")


def count_sentences(text: str) -> int:
    """Ends of sentences: no abbreviation, initial, or dots before a small letter is one."""
    return len(_END.findall(_INITIAL.sub("", _shortened(text))))


def _shortened(text: str) -> str:
    return _ABBREVIATION.sub(lambda match: "" if _inside(match, text) else match[0], text)


def _inside(match: re.Match[str], text: str) -> bool:
    """ "etc." and dots end a sentence before a capital letter, and titles never do."""
    if match[0].casefold().rstrip(".") in ("mr", "mrs", "ms", "dr", "prof", "rev", "st", "mt"):
        return True
    following = text[match.end() :].lstrip()[:1]
    return bool(following) and not following.isupper()


def _sentences(check: Check, text: str) -> str | None:
    return between(check, count_sentences(text), "sentences")


def _words(check: Check, text: str) -> str | None:
    return between(check, len(text.split()), "words")


def _characters(check: Check, text: str) -> str | None:
    return between(check, len(text), "characters")


def _starts_with(check: Check, text: str) -> str | None:
    value = re.escape(check["value"].strip())
    right = re.match(rf"{value}(?!\w)", text, re.IGNORECASE)
    return None if right else f"does not start with {check['value']!r}"


def _ends_with(check: Check, text: str) -> str | None:
    return None if text.endswith(check["value"]) else f"does not end with {check['value']!r}"


def _case(check: Check, text: str) -> str | None:
    wanted = {"upper": text.upper(), "lower": text.lower()}[check["value"]]
    return None if text == wanted else f"not all {check['value']} case"


def _json_keys(check: Check, text: str) -> str | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return "not JSON"
    if not isinstance(value, dict):
        return "not a JSON object"
    right = set(value) == set(check["keys"])
    return None if right else f"keys {sorted(value)}, need {sorted(check['keys'])}"


def _any(check: Check, text: str) -> str | None:
    if any(not verify(checks, text) for checks in check["of"]):
        return None
    return "none of the ways to be right"


_RULES: dict[str, Callable[[Check, str], str | None]] = {
    **RULES,
    "any": _any,
    "contains": _contains,
    "accepts": _accepts,
    "excludes": _excludes,
    "occurs": _occurs,
    "repeats": _repeats,
    "items": _items,
    "sentences": _sentences,
    "words": _words,
    "characters": _characters,
    "starts_with": _starts_with,
    "ends_with": _ends_with,
    "case": _case,
    "json_keys": _json_keys,
}
