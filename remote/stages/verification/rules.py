"""The checks of answers, lists, numbers and JSON; `verifier` documents them."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from .matching import Check, between, count_occurrences, lines, marked, numbers, plain, separated
from .repetition import monotony

MAX_JSON = 20_000  # characters of a response that are read as JSON


def _answer(check: Check, text: str) -> str | None:
    case = bool(check.get("case"))
    if plain(text, case) in {plain(value, case) for value in check["values"]}:
        return None
    return f"is not {check['values'][0]!r}"


def _number(check: Check, text: str) -> str | None:
    given = {Decimal(str(number)) for number in check.get("given", ())}
    right = Decimal(str(check["value"]))
    stated = [number for number in numbers(text) if number == right or number not in given]
    if any(number != right for number in stated):
        return f"says another number than {right}"
    if stated or any(count_occurrences(word, text) for word in check.get("also", ())):
        return None
    return f"does not say {right}"


def _lines(check: Check, text: str) -> str | None:
    return between(check, len(lines(text)), "lines")


def _listed(check: Check, text: str) -> str | None:
    found_items = [marked(line) for line in lines(text)]
    items = [item for item in found_items if item is not None]
    if len(items) != len(found_items):
        return "holds a line that is no item of a list"
    wanted = [str(n + 1) if check["style"] == "numbered" else "" for n in range(len(items))]
    if [number for number, _ in items] != wanted:
        return f"not a {check['style']} list"
    return _chosen(check, [plain(item) for _, item in items])


def _separated(check: Check, text: str) -> str | None:
    if len(lines(text)) != 1:
        return "not on one line"
    return _chosen(check, separated(text))


def _chosen(check: Check, items: list[str]) -> str | None:
    """None for distinct, accepted items of the right number; else the reason."""
    accepted = {plain(value) for value in check["accepted"]}
    if wrong := [item for item in items if item not in accepted]:
        return f"not accepted: {', '.join(wrong[:3])}"[:200]
    if len(set(items)) != len(items):
        return "an item twice"
    return between(check, len(items), "items")


def _sequence(check: Check, text: str) -> str | None:
    response_lines = lines(text)
    items = (
        separated(text)
        if len(response_lines) == 1
        else [_unmarked(line) for line in response_lines]
    )
    return None if items == [plain(value) for value in check["values"]] else "not this sequence"


def _unmarked(line: str) -> str:
    item = marked(line)
    return plain(item[1] if item else line)


def _json(check: Check, text: str) -> str | None:
    try:
        value = json.loads(text[:MAX_JSON])
    except (ValueError, RecursionError):
        return "not JSON"
    return None if _same(value, check["object"]) else "not the JSON asked for"


def _same(value: Any, wanted: Any) -> bool:
    """Whether both are equal, ignoring the case of texts; 1 equals 1.0 but not true."""
    if isinstance(wanted, dict):
        same_keys = isinstance(value, dict) and value.keys() == wanted.keys()
        return same_keys and all(_same(value[key], wanted[key]) for key in wanted)
    if isinstance(wanted, list):
        same_length = isinstance(value, list) and len(value) == len(wanted)
        return same_length and all(map(_same, value, wanted))
    if isinstance(wanted, str):
        return isinstance(value, str) and plain(value) == plain(wanted)
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    return bool(value == wanted)


def _closed(_: Check, text: str) -> str | None:
    return (
        None
        if text.rstrip("\"'\u201d\u2019)").endswith((".", "!", "?"))
        else "no end of a sentence"
    )


def _varied(_: Check, text: str) -> str | None:
    again = monotony(text)
    return None if again is None else f"says {again!r} again and again"


def _lacks_letters(check: Check, text: str) -> str | None:
    present = [letter for letter in check["values"] if letter.casefold() in text.casefold()]
    return f"has the letter {present[0]!r}" if present else None


def _critic(_: Check, _text: str) -> str | None:
    return "only a critic can judge this"


RULES: dict[str, Callable[[Check, str], str | None]] = {
    "answer": _answer,
    "number": _number,
    "lines": _lines,
    "listed": _listed,
    "separated": _separated,
    "sequence": _sequence,
    "json": _json,
    "closed": _closed,
    "varied": _varied,
    "critic": _critic,
    "lacks_letters": _lacks_letters,
}
