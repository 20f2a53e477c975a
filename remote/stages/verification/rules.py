"""The checks of answers, lists, numbers and JSON; `verifier` documents them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from .decision import decides
from .lists import comma_separated, listed, sequence
from .matching import Check, between, count_occurrences, lines, numbers, plain
from .repetition import monotony
from .statement import states
from .written import written

MAX_JSON = 20_000  # characters of a response that are read as JSON


def _answer(check: Check, text: str) -> str | None:
    case = bool(check.get("case"))
    if "?" in text and not any("?" in value for value in check["values"]):
        return "asks"
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


def _json(check: Check, text: str) -> str | None:
    try:
        value = json.loads(text[:MAX_JSON], object_pairs_hook=_distinct_keys)
    except (ValueError, RecursionError):
        return "not JSON, or a key twice"
    return None if _same(value, check["object"]) else "not the JSON asked for"


def _distinct_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Raises: ValueError for a key that stands twice."""
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a key twice")
    return dict(pairs)


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


_GREETING = re.compile(
    r"\n\s*(?:(?:best|kind|warm|with best|yours)[\w ]*|regards|sincerely|love|cheers|thanks)"
    r"[,.!]?(?:\s*\n\s*[\w .]{1,40})?\s*\Z|\n\s*[A-Z][\w]*(?: [A-Z][\w.]*)?\s*\Z",
    re.IGNORECASE,
)


def without_signature(text: str) -> str:
    """`text` without a closing line such as "Best wishes," and the name below it."""
    return _GREETING.sub("", text).rstrip()


def _begins_among(check: Check, text: str) -> str | None:
    words = [plain(word) for word in text.replace("\u2019", "'").split()[: check["within"]]]
    if {plain(value) for value in check["values"]} & set(words):
        return None
    return f"none of its first {check['within']} words is one of those"


def _closed(check: Check, text: str) -> str | None:
    text = without_signature(text) if check.get("signed") else text
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
    "listed": listed,
    "separated": comma_separated,
    "sequence": sequence,
    "json": _json,
    "closed": _closed,
    "varied": _varied,
    "critic": _critic,
    "states": states,
    "decides": decides,
    "written": written,
    "begins_among": _begins_among,
    "lacks_letters": _lacks_letters,
}
