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
            others=("country", "nation", "continent"),
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
            rivals=[
                name
                for name in (*EVERY_CONTINENT, "Antarctica", "South Africa")
                if name not in names
            ],
            apart=(country,),
            others=("country", "nation", "city"),
            nouns=("continent", "part", "region", *_REGIONS[:-4], "south", "north", "west"),
            known=(
                *_SEAS,
                "continent",
                "lies",
                "located",
                "situated",
                "found",
                "belongs",
                *_REGIONS,
            ),
            links=("in", "on", "to"),
            articles=_REGIONS[:-7],
            containers=("in", "within", "inside", "on", "part"),
        )
        yield make(text=text, kind="continent", answer=answer, checks=(stated, at_most()))


_SEAS = (
    *("pacific", "atlantic", "indian", "ocean", "south", "north", "west", "east", "european"),
    *("african", "asian", "american", "oceanian", "country", "nation", "island"),
)
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
            links=("two", "write", "many", "several"),
            articles=("many", "several"),
            wholes=(
                f"{word}, {plural}",
                f"{word} - {plural}",
                f"one {word}, many {plural}",
                f"one {word}, several {plural}",
            ),
            given=(1, 2),
            known=("one", "two", "plural", "many", "several"),
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
            known=("translation", "translates", "translated", "speakers", "people"),
            nouns=("word", "translation", "spanish"),
            links=("as", "into"),
            articles=("el", "la", "los", "las", "un", "una", "a", "an"),
            others=("english",),
            rivals=("is the English", "is an English", "is English", "is Portuguese", "is French"),
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
                rivals=[
                    *(name for name in DAYS if name not in (answer, DAYS[start])),
                    *(f"today is {answer}", f"now is {answer}", f"yesterday was {answer}"),
                ],
                given=(count, 7, count // 7, count % 7, count - count % 7, 1),
                known=("if", "today", "weeks", "days", "later", "after", "falls"),
                nouns=("day",),
                links=("on",),
                articles=("a",),
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
                wholes=(
                    ", ".join((MONTHS * 2)[start : start + count + 1]),
                    ", ".join((MONTHS * 2)[start + 1 : start + count + 1]),
                ),
                given=(count,),
                known=("if", "months", "later", "after", "now"),
                nouns=("month",),
            )
            yield make(text=text, kind="month", answer=said, checks=(stated, at_most()))


def month_lengths(draw: random.Random) -> Iterator[Instruction]:
    lengths = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    phrasings = ("How many days does {} have in {}? Answer in digits.",)
    asked = [
        (month, draw.choice((2019, 2021, 2022, 2023, 2025)), length, draw.choice(phrasings))
        for month, length in zip(MONTHS, lengths, strict=True)
    ]
    asked += [
        ("February", year, 29 if year % 4 == 0 else 28, phrasing)
        for phrasing, year in _FEBRUARIES.items()
    ]
    again = "Say in digits how many days there were in {} {}."
    asked += [(month, year, 30, again) for month, year in _SHORT_MONTHS]
    for month, year, length, phrasing in asked:
        text = phrasing.format(month, year)
        answer = f"{month} {year} has {length} days."
        stated = states_number(
            text,
            answer,
            length,
            year,
            units=("days",),
            known=("month", "leap", "year", "had", "were", "was"),
            links=("had", "were"),
            first=False,
        )
        yield make(text=text, kind="length of a month", answer=answer, checks=(stated, at_most()))


# So that no length is right for a third of the instructions.
_FEBRUARIES = {
    "Count the days of {} {} and answer in digits.": 2004,
    "In digits: how long was {} {}, in days?": 1988,
    "{} {} had how many days? Use digits.": 2017,
    "Write in digits the number of days in the month of {} {}.": 1972,
    "Of how many days did {} {} consist? Give digits.": 1999,
    "What was the last day of {} {}? Answer with its number, in digits.": 2016,
}
_SHORT_MONTHS = (("June", 2018), ("September", 1994))

KINDS = (
    *(capitals, continents, claims, divisibility, plurals, translations),
    *(days, months, month_lengths),
)
