"""Validates that a list of checks from a file is a specification that can judge a response."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .repetition import STOP_WORDS
from .verifier import VerifierError

MAX_DEPTH = 3  # of `any` inside `any`


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(_text(text) for text in value)


def _maybe_texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(text, str) for text in value)


def _any_text(value: Any) -> bool:
    return isinstance(value, str)


def _groups(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(map(_texts, value))


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 1_000_000


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15


def _numbers(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(_number(number) for number in value)


def _truth(value: Any) -> bool:
    return isinstance(value, bool)


def _object(value: Any) -> bool:
    return isinstance(value, Mapping)


def _one_of(*values: str) -> Callable[[Any], bool]:
    return lambda value: value in values


Fields = Mapping[str, Callable[[Any], bool]]
_COUNTS: dict[str, Callable[[Any], bool]] = {
    "exactly": _count,
    "at_least": _count,
    "at_most": _count,
}
_VALUES: dict[str, Callable[[Any], bool]] = {"values": _texts}

_MEMBERS: dict[str, Callable[[Any], bool]] = {"forms": _groups, "heads": _texts}
_LISTED = ("wholes", "rivals", "known", "units", "links", "nouns", "articles", "apart", "times")
_STATED: Fields = {
    **dict.fromkeys((*_LISTED, "containers", "followers", "others"), _maybe_texts),
    **dict.fromkeys(
        ("case", "digits", "first", "last", "contrast", "clock", "sums", "verbatim", "alone"),
        _truth,
    ),
    "answer": _any_text,
    "text": _any_text,
    "given": _numbers,
    "measures": _groups,
}

# (fields it must have, fields it may have)
_FIELDS: Mapping[str, tuple[Fields, Fields]] = {
    "contains": (_VALUES, {"case": _truth}),
    "accepts": (_VALUES, {"case": _truth}),
    "excludes": (_VALUES, {"case": _truth}),
    "answer": (_VALUES, {"case": _truth}),
    "sequence": (_VALUES, {"separator": _one_of("comma", "any")}),
    "begins_among": (_VALUES | {"within": _count}, {}),
    "decides": ({"question": _text, "value": _one_of("Yes", "No")}, {}),
    "written": (
        {"question": _text},
        {"topics": _texts, "letter": _truth, "slogan": _truth, "question_form": _truth},
    ),
    "states": (_VALUES | {"question": _text}, _STATED),
    "lacks_letters": (_VALUES, {}),
    "occurs": ({"value": _text, "exactly": _count}, {}),
    "repeats": ({"value": _text, "exactly": _count}, {}),
    "items": ({"accepted": _texts, "exactly": _count}, {}),
    "listed": (
        {"style": _one_of("numbered", "bulleted"), "accepted": _texts},
        _COUNTS | _MEMBERS | {"marks": _text},
    ),
    "separated": ({"accepted": _texts}, _COUNTS | _MEMBERS | {"separator": _one_of("comma")}),
    "sentences": ({}, _COUNTS),
    "words": ({}, _COUNTS),
    "characters": ({}, _COUNTS),
    "lines": ({}, _COUNTS),
    "starts_with": ({"value": _text}, {}),
    "ends_with": ({"value": _text}, {}),
    "case": ({"value": _one_of("upper", "lower")}, {}),
    "closed": ({}, {"signed": _truth}),
    "varied": ({}, {}),
    "json_keys": ({"keys": _texts}, {}),
    "json": ({"object": _object}, {}),
    "number": ({"value": _number}, {"given": _numbers, "also": _texts}),
}
# What a response of any content can satisfy: alone, it would reward length and punctuation.
_FORM = {"sentences", "words", "characters", "lines", "closed", "ends_with", "case", "excludes"}
_FORM |= {"lacks_letters", "varied", "starts_with", "json_keys", "written", "begins_among"}

_IN_ANY_TEXT = STOP_WORDS - {"yes", "no", "may"}  # which are answers; so is the month


def check_specification(checks: Any) -> None:
    """Raises: VerifierError unless `checks` can judge a response by more than its form."""
    _check(checks, 0)
    if not any(_names_content(check) for check in checks):
        raise VerifierError("only form is checked: any fluent text of the right length would pass")


def _check(checks: Any, depth: int) -> None:
    if not isinstance(checks, list | tuple) or not checks:
        raise VerifierError("no checks: nothing would make this response wrong")
    for check in checks:
        if not isinstance(check, Mapping):
            raise VerifierError(f"a check is an object, not {check!r:.60}")
        if check.get("check") == "any":
            _check_any(check, depth)
        else:
            _check_fields(check)


def _check_any(check: Mapping[str, Any], depth: int) -> None:
    ways = check.get("of")
    if depth >= MAX_DEPTH or not isinstance(ways, Sequence) or isinstance(ways, str) or not ways:
        raise VerifierError(f"check any: `of` is a list of lists of checks, {MAX_DEPTH} deep")
    for way in ways:
        _check(way, depth + 1)


def _check_fields(check: Mapping[str, Any]) -> None:
    name = check.get("check")
    if not isinstance(name, str) or name not in _FIELDS:
        known = ", ".join(sorted([*_FIELDS, "any"]))
        raise VerifierError(f"unknown check {name!r:.60}; known: {known}")
    must, may = _FIELDS[name]
    if missing := [field for field in must if field not in check]:
        raise VerifierError(f"check {name}: field {missing[0]} is missing")
    for field, value in check.items():
        rule = must.get(field) or may.get(field)
        if field == "check":
            continue
        if rule is None:
            raise VerifierError(f"check {name}: unknown field {field!r:.60}")
        if not rule(value):
            raise VerifierError(f"check {name}: field {field} cannot be {value!r:.60}")


def _names_content(check: Mapping[str, Any]) -> bool:
    """Whether the check fails for text that consists of common words only."""
    match check["check"]:
        case "any":
            return all(any(map(_names_content, way)) for way in check["of"])
        case "contains":
            return any(_has_meaning(value, bool(check.get("case"))) for value in check["values"])
        case "accepts":
            return all(_has_meaning(value, bool(check.get("case"))) for value in check["values"])
        case "number":
            return all(map(_has_meaning, check.get("also", ())))
        case "occurs":
            return check["exactly"] > 0 and _has_meaning(check["value"])
        case name:
            return name not in _FORM


def _has_meaning(value: str, case: bool = False) -> bool:
    """Whether `value` has a word that is no stop word; with `case`, "As" (arsenic) is not "as"."""
    return bool(set(re.findall(r"\w+", value if case else value.casefold())) - _IN_ANY_TEXT)
