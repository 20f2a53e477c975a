"""Questions whose answer is a number or a time."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial

from ...verification.instruction import Instruction
from ...verification.verifier import Check
from .checks import at_most, lacks, number, only, says
from .topics import LONG_WORDS, PEOPLE
from .word_lists import word_list

make = partial(Instruction, type="qa")


def sums(draw: random.Random) -> Iterator[Instruction]:
    signs = {
        "plus": ("What is {} plus {}?", "Add {} and {}.", "Calculate {} + {}.", "{} + {} = ?"),
        "minus": ("What is {} minus {}?", "Calculate {} - {}.", "{} - {} = ?"),
        "times": ("What is {} times {}?", "Multiply {} by {}.", "Calculate {} * {}."),
    }
    for _ in range(170):
        sign = draw.choice(list(signs))
        first, second = draw.randint(11, 99), draw.randint(2, 89)
        if sign == "times":
            second = draw.randint(3, 12)
        if sign == "minus" and second >= first:
            first += 90
        result = {"plus": first + second, "minus": first - second, "times": first * second}[sign]
        if result in (first, second):
            continue
        yield make(
            text=draw.choice(signs[sign]).format(first, second),
            kind="arithmetic",
            answer=f"{first} {sign} {second} is {result}.",
            checks=(number(result, first, second), at_most()),
        )


_STORIES = (
    ("{who} has {a} {things} and gets {b} more. How many {things} does {who} have now?", 1),
    ("There are {a} {things} in a box and {b} in another. How many are there in all?", 1),
    ("{who} had {a} {things} and gave away {b}. How many are left?", -1),
    ("Of {a} {things} on the table {who} takes {b}. How many stay there?", -1),
    ("{who} buys {b} bags with {a} {things} each. How many {things} is that?", 0),
    ("{b} children carry {a} {things} each. How many do they carry together?", 0),
)
_COUNTED = ("apples", "marbles", "books", "pencils", "stamps", "shells", "coins", "cards", "nuts")


def stories(draw: random.Random) -> Iterator[Instruction]:
    for _ in range(110):
        story, sign = draw.choice(_STORIES)
        first, second = draw.randint(12, 60), draw.randint(3, 11)
        result = first * second if sign == 0 else first + sign * second
        if result in (first, second):
            continue
        things, who = draw.choice(_COUNTED), draw.choice(PEOPLE)
        yield make(
            text=story.format(a=first, b=second, things=things, who=who)
            + draw.choice(("", " Answer in digits.")),
            kind="word problem",
            answer=f"The answer is {result} {things}.",
            checks=(number(result, first, second), at_most(40)),
        )


_UNITS = word_list("units")


def conversions(draw: random.Random) -> Iterator[Instruction]:
    phrasings = (
        "How many {small} are {count} {large}?",
        "Convert {count} {large} to {small}.",
        "{count} {large}: how many {small} is that?",
        "Express {count} {large} in {small}.",
    )
    for unit in _UNITS:
        small, large, factor = unit["small"], unit["large"], unit["factor"]
        for count in draw.sample(range(2, 30), 9):
            result = count * factor
            yield make(
                text=draw.choice(phrasings).format(small=small, large=large, count=count),
                kind="conversion",
                answer=f"{count} {large} are {result} {small}.",
                checks=(number(result, count, 1, factor), at_most()),
            )


def letters(draw: random.Random) -> Iterator[Instruction]:
    phrasings = (
        'How many letters does the word "{}" have? Answer in digits.',
        'Count the letters of "{}" and give the number in digits.',
        'Give the number of letters in "{}", in digits.',
    )
    for word in LONG_WORDS:
        yield make(
            text=draw.choice(phrasings).format(word),
            kind="count of letters",
            answer=f'The word "{word}" has {len(word)} letters.',
            checks=(number(len(word)), at_most()),
        )


def one_letter(draw: random.Random) -> Iterator[Instruction]:
    phrasings = (
        'How often does the letter {letter} occur in "{word}"? Answer in digits.',
        'Count the letter {letter} in the word "{word}"; answer in digits.',
    )
    for word in LONG_WORDS:
        several = sorted({char for char in word if word.count(char) > 1})
        letter = draw.choice(several or sorted(word))
        yield make(
            text=draw.choice(phrasings).format(letter=letter, word=word),
            kind="count of a letter",
            answer=f'The letter {letter} occurs {word.count(letter)} times in "{word}".',
            checks=(number(word.count(letter)), at_most()),
        )


def _states_result(result: int, given: list[int]) -> Check:
    """The response states that `result` is the one, unless it names no other number."""
    others = [str(value) for value in given if value != result]
    return {"check": "any", "of": [[lacks(others)], [says(f"is {result}", f"{result} is")]]}


def extremes(draw: random.Random) -> Iterator[Instruction]:
    phrasings = {
        max: ("Which number is the largest: {}?", "Name the greatest of these numbers: {}."),
        min: ("Which number is the smallest: {}?", "Name the least of these numbers: {}."),
    }
    for _ in range(80):
        which = draw.choice((max, min))
        given = draw.sample(range(10, 999), 4)
        result = which(given)
        word = "largest" if which is max else "smallest"
        yield make(
            text=draw.choice(phrasings[which]).format(", ".join(map(str, given))),
            kind="largest and smallest",
            answer=f"The {word} number is {result}.",
            checks=(number(result, *given), _states_result(result, given), at_most(15)),
        )


def clocks(draw: random.Random) -> Iterator[Instruction]:
    phrasings = (
        "A train leaves at {start} and travels {minutes} minutes. When does it arrive?",
        "It is {start}. What time is it in {minutes} minutes?",
        "A film starts at {start} and lasts {minutes} minutes. At what time does it end?",
        "Add {minutes} minutes to {start} and give the time.",
    )
    for _ in range(90):
        hour, minute = draw.randint(1, 9), draw.choice(range(0, 60, 5))
        minutes = draw.choice(range(15, 115, 5))
        total = hour * 60 + minute + minutes
        start, end = f"{hour}:{minute:02}", _time(total)
        others = [_time(total + off) for off in (-60, -30, -15, -10, -5, 5, 10, 15, 30, 60)]
        yield make(
            text=draw.choice(phrasings).format(start=start, minutes=minutes),
            kind="clock",
            answer=f"The time is then {end}.",
            checks=(
                says(end, f"0{end}"),
                lacks([other for other in others if other != start]),
                at_most(20),
            ),
        )


def _time(minutes: int) -> str:
    return f"{minutes // 60}:{minutes % 60:02}"


def rounding(draw: random.Random) -> Iterator[Instruction]:
    phrasings = (
        "Round {} to the nearest ten. Answer with the number only.",
        "Give {}, rounded to the nearest ten, as a bare number.",
    )
    for value in draw.sample([n for n in range(101, 999) if n % 10 not in (0, 5)], 40):
        result = round(value / 10) * 10
        yield make(
            text=draw.choice(phrasings).format(value),
            kind="rounding",
            answer=str(result),
            checks=(only(str(result)),),
        )


KINDS = (sums, stories, conversions, letters, one_letter, extremes, clocks, rounding)
