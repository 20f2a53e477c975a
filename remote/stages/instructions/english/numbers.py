"""Questions whose answer is a number or a time."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial

from ...verification.instruction import Instruction
from ...verification.number_words import in_words
from ...verification.words import word_set
from .checks import at_most, only, states, states_number
from .letter_counts import letters, one_letter
from .topics import PEOPLE
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
        text = draw.choice(signs[sign]).format(first, second)
        answer = f"{first} {sign} {second} is {result}."
        stated = states_number(
            text, answer, result, first, second, known=_ARITHMETIC, containers=("in",)
        )
        yield make(text=text, kind="arithmetic", answer=answer, checks=(stated, at_most()))


_ARITHMETIC = tuple(
    sorted(
        word_set(
            """
plus minus times between sum difference product multiplied added adding add subtract subtracted
subtracting multiply calculation calculated calculate equation what take away yields
leaves
"""
        )
    )
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
        text = story.format(a=first, b=second, things=things, who=who)
        text += draw.choice(("", " Answer in digits."))
        answer = f"The answer is {result} {things}."
        stated = states_number(
            text,
            answer,
            result,
            *(first, second),
            units=(things,),
            known=(*_ARITHMETIC, "left", "now", "still", "together", "total"),
            links=("carry", "left", "remain", "total", "buys", "gets"),
            followers=("are", "stay", "remain", "per"),
            alone=True,
            rivals=("each bag", "each child", "every child", "every bag", "per bag", "per child"),
            first=False,
        )
        yield make(text=text, kind="word problem", answer=answer, checks=(stated, at_most(40)))


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
            text = draw.choice(phrasings).format(small=small, large=large, count=count)
            answer = f"{count} {large} are {result} {small}."
            stated = states_number(
                text,
                answer,
                result,
                *(count, 1, factor),
                units=_names(small),
                measures=(
                    (f"{result}", f"{factor}", *_names(small)),
                    (f"{count}", "1", *_names(large)),
                ),
                known=(*_ARITHMETIC, *_names(large), "contains", "converted", "convert", "every"),
            )
            yield make(text=text, kind="conversion", answer=answer, checks=(stated, at_most()))


_SHORT_UNITS = {
    "centimetres": ("cm",), "metres": ("m",), "kilometres": ("km",), "millimetres": ("mm",),
    "grams": ("g",), "kilograms": ("kg", "kilos"), "tonnes": ("t",), "millilitres": ("ml",),
    "litres": ("l",), "minutes": ("min", "mins"), "seconds": ("s", "sec", "secs"), "hours": ("h",),
    "inches": ("in",), "feet": ("ft", "foot"), "yards": ("yd",), "dollars": ("usd",),
}  # fmt: skip


def _names(unit: str) -> tuple[str, ...]:
    """The unit as it may be written: in full, with -er for -re, abbreviated."""
    return (unit, unit.replace("tres", "ters"), *_SHORT_UNITS.get(unit, ()))


_COMPARED = {
    max: ("largest", "greatest", "biggest", "highest", "larger", "greater", "bigger", "higher"),
    min: ("smallest", "least", "lowest", "smaller", "less", "lower"),
}


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
        text = draw.choice(phrasings[which]).format(", ".join(map(str, given)))
        answer = f"The {word} number is {result}."
        stated = states_number(
            text,
            answer,
            result,
            *(*given, 4),
            known=(*_COMPARED[which], "than", "numbers", "them", "among", "out", "four", "others"),
            nouns=("number", "one"),
            sums=False,
        )
        yield make(
            text=text, kind="largest and smallest", answer=answer, checks=(stated, at_most(20))
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
        text, answer = (
            draw.choice(phrasings).format(start=start, minutes=minutes),
            f"The time is then {end}.",
        )
        stated = states(
            text,
            answer,
            *(end, f"0{end}", end.replace(":", "."), *spoken_times(total)),
            clock=True,
            times=(start, f"0{start}"),
            rivals=(
                *(f"{verb} {end}" for verb in ("leaves at", "starts at", "leaves", "departs at")),
                *(f"{end} hours later", f"{end} later", f"{end} hours"),
            ),
            given=(minutes, 60, 1, minutes // 60, minutes % 60, minute, hour),
            units=("am", "a.m", "pm", "p.m", "o'clock", "hours"),
            known=("hour", "hours", "minutes", "later", "arrives", "arrival", "ends", "time",
                   "film", "train", "plus", "add", "adding", "half", "quarter"),
            links=("at", "then", "arrives", "ends", "until"),
            articles=("a",),
            first=False,
        )  # fmt: skip
        yield make(text=text, kind="clock", answer=answer, checks=(stated, at_most()))


def spoken_times(minutes: int) -> tuple[str, ...]:
    """The time in words: "half past eleven", "twenty to five", "eleven thirty"."""
    hour, minute = divmod(minutes, 60)
    this, following = in_words(hour), in_words(hour % 12 + 1)
    if minute == 0:
        return (f"{this} o'clock",)
    past = {15: "quarter past", 30: "half past", 45: "quarter to"}.get(minute)
    if past is None:
        past = f"{in_words(minute)} past" if minute < 30 else f"{in_words(60 - minute)} to"
    hours = following if "to" in past.split() else this
    first, _, side = past.partition(" ")
    spelled = (f"{first} minutes {side} {hours}",) if minute % 15 else ()
    in_full = f"{past} {following if 'to' in past.split() else this}"
    return (in_full, *spelled, f"{this} {in_words(minute)}")


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
