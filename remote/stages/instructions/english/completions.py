"""Instructions to complete sayings, sequences, analogies, verb forms and symbols."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial
from itertools import combinations

from ...verification.instruction import Instruction
from . import vocabulary as words
from .checks import at_most, concludes, has, lacks, number, only, says
from .word_lists import word_list

make = partial(Instruction, type="completion")


def sayings(draw: random.Random) -> Iterator[Instruction]:
    phrasings = (
        "Complete the proverb: {}",
        "Finish this saying: {}",
        "How does the saying end? {}",
        "Complete: {}",
    )
    for start, end in words.SAYINGS.items():
        text = draw.choice(phrasings).format(f"{start} ...")
        stated = has(f"{start.split()[-1]} {end}")  # the end alone may be a very common word
        checks = ({"check": "any", "of": [[only(end)], [stated]]}, at_most(20))
        yield make(text=text, kind="saying", answer=f"{start} {end}.", checks=checks)


def number_sequences(draw: random.Random) -> Iterator[Instruction]:
    phrasings = (
        "Complete the sequence with the next number: {},",
        "Which number comes next? {},",
        "Give the next number of the sequence {}.",
        "{}, ... What is the next number?",
    )
    for _ in range(140):
        first, step = draw.randint(1, 60), draw.choice((2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 15, 20))
        series = [first + n * step for n in range(5)]
        by: tuple[int, ...] = (step,)
        if draw.random() < 0.25:
            series = [first % 9 + 1]
            factor = draw.choice((2, 3))
            series, by = [series[0] * factor**n for n in range(5)], (factor,)
        elif draw.random() < 0.25:
            series, by = [first + 100 - n * step for n in range(5)], (step, -step)
        *shown, answer = series
        text = draw.choice(phrasings).format(", ".join(map(str, shown)))
        yield make(
            text=text,
            kind="number sequence",
            answer=f"The next number in the sequence is {answer}.",
            checks=(number(answer, *shown, *by), at_most()),  # "since each one adds 4"
        )


_ORDERS: dict[str, list[str]] = word_list("sequences")


def ordered_names(draw: random.Random) -> Iterator[Instruction]:
    phrasings = (
        "Which {what} comes next? {shown}",
        "Continue with one more {what}: {shown}",
        "{shown} ... Name the {what} that follows.",
    )
    for what, names in _ORDERS.items():
        circle = names * 2 if what in ("month", "day") else names
        for step, count, start in (
            (step, count, start)
            for step in (1, 2)
            for count in (3, 4)
            for start in range(len(names))
            if start + step * count < len(circle)
        ):
            chosen = circle[start : start + step * count + 1 : step]
            *shown, answer = chosen
            text = draw.choice(phrasings).format(what=what, shown=", ".join(shown))
            others = [name for name in names if name not in (answer, shown[-1])]
            stated = [says(answer), lacks(others), concludes(answer, shown[-1])]
            repeated = [
                has(", ".join(chosen)),
                lacks([name for name in names if name not in chosen]),
            ]
            yield make(
                text=text,
                kind="ordered names",
                answer=f"After {shown[-1]} comes {answer}.",
                checks=({"check": "any", "of": [stated, repeated]}, at_most()),
            )


def analogies(draw: random.Random) -> Iterator[Instruction]:
    phrasings = (
        "Complete the analogy: {} is to {} as {} is to",
        "{} is to {} as {} is to what?",
        "Finish the comparison: {} is to {} what {} is to",
    )
    tables = (words.OPPOSITES, words.YOUNG, words.PAST, words.PLURALS, words.HOMES)
    for table in tables:
        pairs = list(combinations(table.items(), 2))
        for (first, second), (third, answer) in draw.sample(pairs, min(len(pairs), 26)):
            if answer in (first, second, third):
                continue
            rest = f"{third} is to {answer}"
            answers = (answer, rest, f"{first} is to {second} as {rest}")
            also = (f"is to {answer}", f"to {answer}", f"{first} is to {second} what {rest}")
            yield make(
                text=draw.choice(phrasings).format(first, second, third),
                kind="analogy",
                answer=f"{first} is to {second} as {third} is to {answer}.",
                checks=(only(*answers, *also),),
            )


_FRAMES: list[str] = word_list("frames")


def verb_forms(draw: random.Random) -> Iterator[Instruction]:
    phrasings = (
        "Complete with the past tense of {verb}: {frame}",
        "Fill the gap with {verb} in the past: {frame}",
        "{frame} (Put in the past form of {verb}.)",
        "Which past form fits? {frame} ({verb})",
    )
    for verb, past in words.PAST.items():
        frame = draw.choice(_FRAMES)
        yield make(
            text=draw.choice(phrasings).format(verb=verb, frame=frame),
            kind="verb form",
            answer=frame.replace("___", past),
            checks=(says(past), lacks([verb]), at_most(20)),
        )


def symbols(draw: random.Random) -> Iterator[Instruction]:
    phrasings = (
        "Complete the sentence: The chemical symbol of {} is",
        "In chemistry {} is written as",
        "Complete: the element {} has the symbol",
    )
    for element, symbol in words.ELEMENTS.items():
        others = [other for other in words.ELEMENTS.values() if other != symbol]
        yield make(
            text=draw.choice(phrasings).format(element),
            kind="chemical symbol",
            answer=f"The chemical symbol of {element} is {symbol}.",
            checks=(
                says(symbol, case=True),
                {"check": "excludes", "values": others, "case": True},
                at_most(20),
            ),
        )


KINDS = (sayings, number_sequences, ordered_names, analogies, verb_forms, symbols)
