"""Functions that find words, numbers and list items in a response."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

Check = Mapping[str, Any]

_NUMBER = re.compile(r"(?<![\w.])([-\u2212]?)(\d{1,3}(?:,\d{3})+(?!\d)|\d{1,30})(\.\d{1,30})?")
_AROUND = " \t\n\"'`*\u201c\u201d\u2018\u2019.,;:!?"  # with curly quotes
_MARKER = re.compile(r"\s*(?:[-*\u2022\u2013]|(\d{1,3})[.)])\s+(.+)")


def count_occurrences(value: str, text: str, case: bool = False) -> int:
    """How often `value` occurs in `text` as whole words."""
    if value not in text and (case or value.casefold() not in text.casefold()):
        return 0  # most do not occur at all: spares the search
    pattern = rf"(?<!\w){re.escape(value)}(?!\w)"
    return len(re.findall(pattern, text, 0 if case else re.IGNORECASE))


def between(check: Check, count: int, what: str) -> str | None:
    """None where `count` is `exactly`, or from `at_least` to `at_most`; else the reason."""
    exactly = check.get("exactly")
    low = check.get("at_least", 0) if exactly is None else exactly
    high = check.get("at_most", float("inf")) if exactly is None else exactly
    return None if low <= count <= high else f"{count} {what}, need {low} to {high}"


def numbers(text: str) -> list[Decimal]:
    """The numbers written in digits, thousands with or without commas, in order."""
    return [
        Decimal(("-" if sign else "") + whole.replace(",", "") + part)
        for sign, whole, part in _NUMBER.findall(text)
    ]


def plain(text: str, case: bool = False) -> str:
    """`text` without surrounding quotes, emphasis and punctuation, with single spaces."""
    text = " ".join(unicodedata.normalize("NFKC", text).split()).strip(_AROUND)
    return text if case else text.casefold()


def lines(text: str) -> list[str]:
    """The lines that are not blank, stripped."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def marked(line: str) -> tuple[str, str] | None:
    """(number, or empty for a bullet; the item) of a list's line; None for any other line."""
    match = _MARKER.fullmatch(line)
    return (match[1] or "", match[2]) if match else None


def separated(text: str) -> list[str]:
    """The items of a list in one line: between commas, semicolons and "and"; bare forms."""
    text = " ".join(text.rpartition(":")[2].split())  # first: long blanks take the pattern long
    pieces = re.split(r" ?[,;] ?(?:and )?| and ", text)
    return [plain(piece) for piece in pieces if plain(piece)]
