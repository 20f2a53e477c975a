"""What a check `states` says of its instruction, divided into words once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

from .words import DOUBT, NEUTRAL, REASONS, Token, stems, tokens, word_set

_FIRST_PERSON = word_set("i me my mine myself")
HOURS = re.compile(r"(?<![\d.:])(\d{1,2})\.(\d\d)(?![\d.:])")  # "9.45" as a time


@dataclass(frozen=True)
class Frame:
    """What a check says of its instruction, divided into words once."""

    values: tuple[tuple[Token, ...], ...]
    known: frozenset[str]
    numbers: frozenset[Decimal]
    answer: tuple[Token, ...]
    before: frozenset[str]  # the words that stand before the value in the canonical answer
    after: frozenset[str]
    doubts: Counter[str]


def doubt(found: Sequence[Token], allowed: Counter[str]) -> str | None:
    """The first word of denial or doubt that is not `allowed` as often, or None."""
    counts: Counter[str] = Counter()
    for token in found:
        # "may" is no month in small letters
        key = "might" if token.text == "may" else token.key
        if key in DOUBT or (token.word and token.key in _FIRST_PERSON):
            counts[key] += 1
            if counts[key] > allowed[key]:
                return token.text
    return None


_KNOWN = ("known", "units", "articles", "nouns")


class Key:
    """A check that can be looked up: by its identity, which keeps it alive."""

    def __init__(self, check: Mapping[str, Any]) -> None:
        self.check = check

    def __hash__(self) -> int:
        return hash((self.check["question"], self.check.get("answer")))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and self.check == other.check


@lru_cache(maxsize=4096)
def frame_of(key: Key) -> Frame:
    check = key.check
    question, answer = check["question"], check.get("answer", "")
    canonical = tuple(tokens(answer))
    asked = [*tokens(question), *canonical]
    values = tuple(
        tuple(tokens(HOURS.sub(r"\1:\2", value) if check.get("clock") else value))
        for value in check["values"]
    )
    before, after = _neighbours(canonical, values)
    return Frame(
        values,
        stems([question, answer, *(word for name in _KNOWN for word in check.get(name, ()))])
        | NEUTRAL
        | REASONS,
        frozenset(token.number for token in asked if token.number is not None)
        | frozenset(Decimal(str(number)) for number in check.get("given", ())),
        canonical,
        before,
        after,
        _doubts(tokens(question)) | _doubts(canonical) | _doubts(tokens(check.get("text", ""))),
    )


def _doubts(found: Sequence[Token]) -> Counter[str]:
    return Counter(
        "might" if token.text == "may" else token.key
        for token in found
        if token.key in DOUBT or token.key in _FIRST_PERSON
    )


def _neighbours(
    canonical: Sequence[Token], values: Sequence[Sequence[Token]]
) -> tuple[frozenset[str], frozenset[str]]:
    before, after = set[str](), set[str]()
    for value in values:
        for place in range(len(canonical) - len(value) + 1):
            if same(canonical[place : place + len(value)], value, case=False):
                before |= {token.key for token in canonical[:place][-1:]}
                after |= {token.key for token in canonical[place + len(value) :][:1]}
    return frozenset(before), frozenset(after)


def same(first: Sequence[Token], second: Sequence[Token], case: bool) -> bool:
    if len(first) != len(second):
        return False
    return all(
        a.number == b.number
        if a.number is not None
        else (a.text == b.text if case else a.key == b.key)
        for a, b in zip(first, second, strict=True)
    )
