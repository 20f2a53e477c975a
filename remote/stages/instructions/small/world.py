"""Seven kinds of checkable instructions over the small world's facts, and the held-out split.

`instructions()` is the whole world in a fixed order; `split()` sets 100 aside that stand in no
document of any stage. Nothing here depends on a seed but the split.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cache
from itertools import product

from ...verification.instruction import Instruction
from ...verification.verifier import Check
from .words import ADJECTIVES, CAPITALS, KINDS, NOUNS, NUMBERS, OPPOSITES, THINGS

HELD_OUT = 100
_FORM: tuple[Check, ...] = (
    {"check": "characters", "at_least": 51, "at_most": 120},
    {"check": "sentences", "at_least": 1, "at_most": 1},
    {"check": "ends_with", "value": "."},
)
_VARIED: Check = {"check": "varied"}  # not for who is asked to repeat a word

PHRASINGS: dict[str, tuple[str, ...]] = {
    "capital": (
        "State the capital of {country}.",
        "What is the capital of {country}?",
        "Name the capital city of {country}.",
        "Which city is the capital of {country}?",
        "Tell me the capital of {country}.",
        "{country}: what is its capital?",
    ),
    "repeat": (
        "Repeat the word {word} {count} times.",
        "Say {word} {count} times.",
        "Write {word} {count} times in a row.",
    ),
    "uppercase": (
        "Write {words} in capitals.",
        "Put {words} in capital letters.",
        "Change {words} to capital letters.",
        "How does {words} look in capitals?",
    ),
    "sentence": (
        "Write a sentence about a {adjective} {noun}.",
        "Make one sentence about the {adjective} {noun}.",
    ),
    "list": (
        "List three {kind} beginning with {letter}.",
        "Name three {kind} that begin with {letter}.",
        "Give me three {kind} starting with {letter}.",
        "What are three {kind} that start with {letter}?",
        "Which three {kind} begin with {letter}?",
        "Tell me three {kind} with the letter {letter}.",
    ),
    "sum": (
        "Add {first} and {second}.",
        "What is {first} plus {second}?",
    ),
    "opposite": (
        "Complete the pair: {word} and its opposite.",
        "What is the opposite of {word}?",
        "Give the opposite of {word}.",
        "Which word is the opposite of {word}?",
    ),
}

TYPE_OF = {
    "capital": "qa",
    "repeat": "response",
    "uppercase": "response",
    "sentence": "generation",
    "list": "generation",
    "sum": "qa",
    "opposite": "completion",
}


@cache
def instructions() -> tuple[Instruction, ...]:
    """Every instruction of the world, in a fixed order."""
    makers = (_capitals, _repeats, _uppercases, _sentences, _lists, _sums, _opposites)
    return tuple(instruction for maker in makers for instruction in maker())


@cache
def split(seed: int = 0) -> tuple[tuple[Instruction, ...], tuple[Instruction, ...]]:
    """(training, held out), disjoint; the held-out ones are spread over the kinds."""
    draw = random.Random(seed)  # noqa: S311 - not a secret
    by_kind: dict[str, list[Instruction]] = {}
    for instruction in instructions():
        by_kind.setdefault(instruction.kind, []).append(instruction)
    held: list[Instruction] = []
    for place, group in enumerate(by_kind.values()):
        count = HELD_OUT // len(by_kind) + (place < HELD_OUT % len(by_kind))
        held += draw.sample(group, count)
    texts = {instruction.text for instruction in held}
    return tuple(
        instruction for instruction in instructions() if instruction.text not in texts
    ), tuple(held)


def _make(kind: str, answer: str, facts: list[Check], /, **words: str) -> Iterator[Instruction]:
    """One instruction for each phrasing of `kind`."""
    form = _FORM if kind == "repeat" else (*_FORM, _VARIED)
    for phrasing in PHRASINGS[kind]:
        yield Instruction(phrasing.format(**words), TYPE_OF[kind], kind, answer, (*form, *facts))


def _capitals() -> Iterator[Instruction]:
    for country, city in CAPITALS.items():
        others = [other for other in CAPITALS.values() if other != city]
        facts: list[Check] = [
            {"check": "contains", "values": [country, city], "case": True},
            {"check": "excludes", "values": others},
        ]
        answer = f"The capital of {country} is the city of {city}, as every map shows."
        yield from _make("capital", answer, facts, country=country)


def _repeats() -> Iterator[Instruction]:
    for word, count in product(THINGS, range(2, 6)):
        facts: list[Check] = [{"check": "repeats", "value": word, "exactly": count}]
        answer = f"Here is the word, as often as you asked: {' '.join([word] * count)}."
        yield from _make("repeat", answer, facts, word=word, count=NUMBERS[count])


def _uppercases() -> Iterator[Instruction]:
    pairs = [(THINGS[i], THINGS[(i + step) % len(THINGS)]) for i in range(16) for step in (1, 5, 7)]
    for first, second in pairs:
        words = f"{first} {second}"
        others = [word.upper() for word in THINGS if word not in (first, second)]
        facts: list[Check] = [
            {"check": "contains", "values": [words.upper()], "case": True},
            {"check": "excludes", "values": others},
        ]
        answer = f"In capital letters the two words read like this: {words.upper()}."
        yield from _make("uppercase", answer, facts, words=words)


def _sentences() -> Iterator[Instruction]:
    for adjective, noun in product(ADJECTIVES, NOUNS):
        others = [word for word in (*ADJECTIVES, *NOUNS) if word not in (adjective, noun)]
        facts: list[Check] = [
            {"check": "contains", "values": [f"{adjective} {noun}"]},
            {"check": "excludes", "values": others},
            {"check": "words", "at_least": 8, "at_most": 25},
        ]
        answer = f"We saw the {adjective} {noun} and talked about it all the way home."
        yield from _make("sentence", answer, facts, adjective=adjective, noun=noun)


def _lists() -> Iterator[Instruction]:
    for kind, letters in KINDS.items():
        for letter, members in letters.items():
            facts: list[Check] = [
                {"check": "contains", "values": [kind]},
                {"check": "items", "accepted": list(members), "exactly": 3},
            ]
            answer = f"Here are three {kind} with the letter {letter}: {', '.join(members)}."
            yield from _make("list", answer, facts, kind=kind, letter=letter)


_BY = ("and", "plus")


def _sums() -> Iterator[Instruction]:
    for first, second in product(range(10), range(10)):
        total = NUMBERS[first + second]
        used = (NUMBERS[first], NUMBERS[second], total)
        orders = (used[:2], used[1::-1])
        facts: list[Check] = [
            {"check": "accepts", "values": [f"{a} {by} {b}" for a, b in orders for by in _BY]},
            {"check": "excludes", "values": [word for word in NUMBERS if word not in used]},
            {"check": "ends_with", "value": f" {total}."},
        ]
        names = f"{NUMBERS[first]} and {NUMBERS[second]}"
        answer = f"When you add {names} together, the sum you get is {total}."
        yield from _make("sum", answer, facts, first=NUMBERS[first], second=NUMBERS[second])


def _opposites() -> Iterator[Instruction]:
    words = {word for pair in OPPOSITES for word in pair}
    for pair in OPPOSITES:
        for word, other in (pair, pair[::-1]):
            facts: list[Check] = [
                {"check": "contains", "values": [word, other]},
                {"check": "excludes", "values": sorted(words - {word, other})},
            ]
            answer = f"The opposite of {word} is {other}, and that is easy to remember."
            yield from _make("opposite", answer, facts, word=word)
