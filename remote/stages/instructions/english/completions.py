"""Instructions to complete sayings, sequences, analogies, verb forms and symbols."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial
from itertools import combinations

from ...verification.instruction import Instruction
from ...verification.words import word_set
from . import vocabulary as words
from .checks import at_most, states, states_number
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
        answer = f"{start} {end}."
        stated = states(
            text,
            answer,
            *(end, *words.ALSO_SAID.get(start, ())),
            wholes=(end, f"{start.split()[-1]} {end}", answer),
            known=("saying", "proverb", "ends", "ending", "goes", "last", "missing", "part"),
            links=("with",),
            followers=("is",),
            last=True,
            verbatim=True,
        )
        yield make(text=text, kind="saying", answer=answer, checks=(stated, at_most(25)))


_STEPS = tuple(
    sorted(
        word_set(
            """
numbers up down add adding adds added plus minus increase increases increasing decrease
decreases decreasing double doubles doubled doubling triple triples tripled multiply multiplied
multiplying pattern difference step steps subtract subtracting subtracted time previous last one
go goes rises falls more than less last
"""
        )
    )
)


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
        said = f"The next number in the sequence is {answer}."
        yield make(
            text=text,
            kind="number sequence",
            answer=said,
            checks=(
                states_number(
                    text,
                    said,
                    answer,
                    *(*shown, *by),
                    wholes=(", ".join(map(str, series)),),
                    known=_STEPS,
                    rivals=("first number", "second number", "previous number", "last number"),
                ),
                at_most(),
            ),
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
            said = f"After {shown[-1]} comes {answer}."
            stated = states(
                text,
                said,
                answer,
                wholes=(", ".join(chosen),),
                rivals=[name for name in names if name not in chosen],
                known=("follows", "following", "month", "day", "order"),
                nouns=(what,),
            )
            yield make(text=text, kind="ordered names", answer=said, checks=(stated, at_most()))


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
            text = draw.choice(phrasings).format(first, second, third)
            said = f"{first} is to {second} as {third} is to {answer}."
            stated = states(
                text,
                said,
                *(answer, *words.ALSO_ANALOGOUS.get(answer, ())),
                first=False,
                last=True,
                verbatim=True,
                wholes=(
                    f"{first} is to {second} what {third} is to {answer}",
                    *((f"a {third} lives in a {answer}",) if table is words.HOMES else ()),
                ),
                apart=(first, second, third),
                articles=("a", "an", "the"),
                known=("analogy", "comparison", "ends", "completed"),
                links=("with",),
            )
            yield make(text=text, kind="analogy", answer=said, checks=(stated, at_most()))


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
        frame = words.PAST_FRAMES.get(verb, frame)  # one in which the verb makes sense
        text = draw.choice(phrasings).format(verb=verb, frame=frame)
        answer = frame.replace("___", past)
        stated = states(
            text,
            answer,
            past,
            wholes=(answer,),
            verbatim=True,
            followers=("fits",),
            known=("past", "tense", "form", "verb", "simple", "fits", "gap"),
            nouns=("form", "tense", "verb"),
        )
        yield make(text=text, kind="verb form", answer=answer, checks=(stated, at_most(25)))


def symbols(draw: random.Random) -> Iterator[Instruction]:
    phrasings = (
        "Complete the sentence: The chemical symbol of {} is",
        "In chemistry {} is written as",
        "Complete: the element {} has the symbol",
    )
    for element, symbol in words.ELEMENTS.items():
        text, answer = (
            draw.choice(phrasings).format(element),
            f"The chemical symbol of {element} is {symbol}.",
        )
        stated = states(
            text,
            answer,
            symbol,
            case=True,
            contrast=True,
            rivals=[other for other in words.ELEMENTS.values() if other != symbol],
            known=("abbreviated", "abbreviation", "element", "chemistry", "metal", "gas"),
            nouns=("symbol",),
            links=("as",),
        )
        yield make(text=text, kind="chemical symbol", answer=answer, checks=(stated, at_most()))


KINDS = (sayings, number_sequences, ordered_names, analogies, verb_forms, symbols)
