"""Whether the numbers of a response have the units that belong to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from .words import Token, stem, word_set

# Before a unit without its number: "How many hours", "in hours", "of minutes".
_BEFORE = word_set("many of in to into the per a an each every one how as number for")


def mismatched(check: Mapping[str, Any], found: Sequence[Token]) -> str | None:
    """A number with another's unit, or a unit out of place, where a check has `measures`.

    `measures` are lists of texts, the numbers of a quantity and the names of its unit.
    """
    groups = [_group(texts) for texts in check.get("measures", ())]
    units = {unit for _, names in groups for unit in names}
    for place, token in enumerate(found):
        if not groups or not token.word or stem(token.key) not in units:
            continue
        before = found[place - 1] if place else None
        if before is None or (before.word and before.key not in _BEFORE):
            return f"{token.text} out of its place"
        if before.number is not None and not any(
            before.number in numbers and stem(token.key) in names for numbers, names in groups
        ):
            return f"names {before.text} {token.text}"
    return None


def _group(texts: Sequence[str]) -> tuple[frozenset[Decimal], frozenset[str]]:
    numbers = frozenset(Decimal(text) for text in texts if text[0].isdigit())
    return numbers, frozenset(stem(text) for text in texts if not text[0].isdigit())
