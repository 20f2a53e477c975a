"""Questions of fact: countries, words, days, comparisons, yes and no."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial

from ...verification.instruction import Instruction
from ...verification.verifier import Check
from . import vocabulary as words
from .checks import at_most, decides, only, states, states_number
from .geography import CAPITALS, CONTINENT_NAMES, CONTINENTS, EVERY_CONTINENT
from .word_lists import word_list

make = partial(Instruction, type="qa")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
    *("October", "November", "December"),
)


def capitals(draw: random.Random) -> Iterator[Instruction]:
    phrasings = (
        "What is the capital of {}?",
        "Name the capital city of {}.",
        "Which city is the capital of {}?",
        "{}: which city is its capital?",
        "Tell me what the capital of {} is called.",
    )
    for country, names in CAPITALS.items():
        text = draw.choice(phrasings).format(country)
        text, answer = text[0].upper() + text[1:], f"The capital of {country} is {names[0]}."
        stated = states(
            text,
            answer,
            *names,
            rivals=_other_places(country, names),
            apart=(country,),
            nouns=("city", "capital"),
            known=("largest", "biggest", "seat", "government", "official", "officially", "country"),
            containers=("in", "within", "on", "part"),
        )
        yield make(text=text, kind="capital", answer=answer, checks=(stated, at_most()))


def _other_places(country: str, names: tuple[str, ...]) -> list[str]:
    """Other capitals and countries, unless they are part of this one's names."""
    own = " ".join((country, *names))
    every = [*CAPITALS, *(name for capital in CAPITALS.values() for name in capital)]
    return [name for name in every if name.removeprefix("the ") not in own]


def continents(draw: random.Random) -> Iterator[Instruction]:
    phrasings = (
        "On which continent is {}?",
        "Which continent does {} belong to?",
        "Name the continent where you find {}.",
        "Say on which continent {} lies.",
    )
    for country, continent in CONTINENTS.items():
        names = CONTINENT_NAMES[continent]
        if country == "Australia":  # is its own answer, too
            continue
        text = draw.choice(phrasings).format(country)
        answer = f"{country[0].upper() + country[1:]} is in {continent}."
        stated = states(
            text,
            answer,
            *names,
            rivals=[name for name in (*EVERY_CONTINENT, "Antarctica") if name not in names],
            apart=(country,),
            nouns=("continent", "part", "region"),
            known=("continent", "lies", "located", "situated", "found", "belongs", *_REGIONS),
            links=("in", "on", "to"),
            articles=_REGIONS[:-7],
            containers=("in", "within", "inside", "on", "part"),
        )
        yield make(text=text, kind="continent", answer=answer, checks=(stated, at_most()))


_REGIONS = (
    *("western", "eastern", "southern", "northern", "central", "southeastern", "southeast"),
    *("continental", "part", "middle", "east", "region", "where", "which", "country"),
)


def claims(draw: random.Random) -> Iterator[Instruction]:
    phrasings = ("{} Answer yes or no.", "Yes or no: {}", "Answer only with yes or no. {}")
    for right, questions in word_list("claims").items():
        for question in questions:
            text = draw.choice(phrasings).format(question)
            yield make(
                text=text, kind="yes or no", answer=f"{right}.", checks=_yes_or_no(right, text)
            )


def divisibility(draw: random.Random) -> Iterator[Instruction]:
    phrasings = (
        "Is {} divisible by {}? Answer yes or no.",
        "Can {} be divided by {} without a remainder? Answer only yes or no.",
        "Yes or no: is {} a multiple of {}?",
    )
    for _ in range(60):
        divisor = draw.randint(3, 9)
        value = divisor * draw.randint(5, 99) + draw.choice((0, 0, 0, 1, 2, divisor - 1))
        right = "No" if value % divisor else "Yes"
        text = draw.choice(phrasings).format(value, divisor)
        yield make(text=text, kind="divisible", answer=f"{right}.", checks=_yes_or_no(right, text))


def _yes_or_no(right: str, text: str) -> tuple[Check, ...]:
    """The word alone, or before a short sentence where the instruction allows one."""
    if "only" in text:
        return (only(right),)
    return (decides(right, text),)


def plurals(draw: random.Random) -> Iterator[Instruction]:
    phrasings = (
        "What is the plural of {}?",
        "Give the plural of the word {}.",
        "One {}, two what?",
        "How do you write {} in the plural?",
    )
    for word, plural in words.PLURALS.items():
        text = draw.choice(phrasings).format(word)
        same = word == plural  # then the question alone would hold the answer
        right = (plural, *words.ALSO_PLURALS.get(word, ()))
        answer = f"The plural of {word} is {plural}."
        stated = states(
            text,
            answer,
            *right,
            rivals=[form for form in (f"{word}s", f"{word}es") if form not in right],
            nouns=("plural", "form", "word"),
            links=("two", "write"),
            given=(1, 2),
            known=("one", "two", "plural"),
        )
        yield make(
            text=f"{text} Answer with one word." if same else text,
            kind="plural",
            answer=plural if same else answer,
            checks=(only(*right),) if same else (stated, at_most(15)),
        )


def translations(draw: random.Random) -> Iterator[Instruction]:
    phrasings = (
        "What is the Spanish word for {}?",
        "Translate {} into Spanish.",
        "How do you say {} in Spanish?",
        "Give the Spanish for the English word {}.",
    )
    for word, spanish in words.SPANISH.items():
        text = draw.choice(phrasings).format(f'"{word}"')
        answer = f'The Spanish word for "{word}" is "{spanish}".'
        stated = states(
            text,
            answer,
            *(spanish, *words.ALSO_SPANISH.get(word, ())),
            known=("translation", "translates", "translated"),
            nouns=("word", "translation", "spanish"),
            links=("to", "as", "into"),
            articles=("el", "la", "los", "las", "un", "una"),
        )
        yield make(text=text, kind="Spanish", answer=answer, checks=(stated, at_most(20)))


def days(draw: random.Random) -> Iterator[Instruction]:
    phrasings = (
        "Today is {day}. Which day of the week is it in {count} days?",
        "If it is {day} now, what day will it be {count} days later?",
        "What day of the week comes {count} days after {day}?",
    )
    for start in range(7):
        for count in draw.sample(range(2, 31), 14):
            answer = DAYS[(start + count) % 7]
            if answer == DAYS[start]:
                continue
            text = draw.choice(phrasings).format(day=DAYS[start], count=count)
            said = f"It will be {answer}."
            stated = states(
                text,
                said,
                answer,
                rivals=[name for name in DAYS if name not in (answer, DAYS[start])],
                given=(count, 7, count // 7, count % 7, count - count % 7, 1),
                known=("if", "today", "weeks", "days", "later", "after", "falls"),
                nouns=("day",),
                links=("on",),
            )
            yield make(text=text, kind="day of the week", answer=said, checks=(stated, at_most()))


def months(draw: random.Random) -> Iterator[Instruction]:
    phrasings = (
        "Which month comes {count} months after {month}?",
        "It is {month}. What month will it be in {count} months?",
        "Count {count} months on from {month} and name the month.",
    )
    for start in range(12):
        for count in draw.sample(range(2, 12), 6):
            answer = MONTHS[(start + count) % 12]
            text = draw.choice(phrasings).format(month=MONTHS[start], count=count)
            said = f"That month is {answer}."
            stated = states(
                text,
                said,
                answer,
                rivals=[name for name in MONTHS if name not in (answer, MONTHS[start])],
                given=(count,),
                known=("if", "months", "later", "after", "now"),
                nouns=("month",),
            )
            yield make(text=text, kind="month", answer=said, checks=(stated, at_most()))


def month_lengths(draw: random.Random) -> Iterator[Instruction]:
    lengths = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    phrasings = ("How many days does {} have in {}? Answer in digits.",)
    for month, length in zip(MONTHS, lengths, strict=True):
        year = draw.choice((2019, 2021, 2022, 2023, 2025))
        text = draw.choice(phrasings).format(month, year)
        answer = f"{month} {year} has {length} days."
        stated = states_number(
            text,
            answer,
            length,
            year,
            units=("days",),
            known=("month", "leap", "year"),
            first=False,
        )
        yield make(text=text, kind="length of a month", answer=answer, checks=(stated, at_most()))


KINDS = (
    *(capitals, continents, claims, divisibility, plurals, translations),
    *(days, months, month_lengths),
)
