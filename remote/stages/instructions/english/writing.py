"""Instructions to write text under constraints: words, lists, JSON, letters."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from functools import partial

from ...verification.instruction import Instruction
from .asking import questions
from .categories import CATEGORIES, distinct_members, heads_of, members_of
from .checks import (
    CLOSED,
    NUMBER_WORDS,
    ONE_LINE,
    article,
    has,
    lacks,
    sentences,
    spoken,
    words,
    written,
)
from .replacements import LENT
from .topics import CITIES, PEOPLE, PLACES, THINGS
from .word_lists import word_list

make = partial(Instruction, type="generation")
_NO_ECHO = lacks(["sentence", "word", "words"])  # these stand in the instruction, not in an answer


def sentence_with_words(draw: random.Random) -> Iterator[Instruction]:
    phrasings = (
        'Write one sentence that contains the words "{}" and "{}".',
        'Use "{}" and "{}" in a single sentence.',
        'Make up a sentence with both "{}" and "{}" in it.',
    )
    asked = set[frozenset[str]]()
    for _ in range(150):
        first, second = draw.sample(THINGS, 2)
        place = draw.choice(PLACES)
        text = draw.choice(phrasings).format(first, second)
        if (pair := frozenset((first, second))) in asked:
            continue  # the other way round
        asked.add(pair)
        said = _SCENES[len(first + second) % len(_SCENES)]
        yield make(
            text=text,
            kind="sentence with words",
            answer=said.format(article(first), article(second), _IN.get(place, f"in the {place}")),
            checks=(
                has(first, second),
                _NO_ECHO,
                sentences(1),
                words(6, 30),
                CLOSED,
                written(text, topics=[first, second]),
            ),
        )


_IN = {
    "beach": "on the beach",
    "farm": "on the farm",
    "station": "at the station",
    "airport": "at the airport",
    "bridge": "on the bridge",
    "market": "at the market",
}
_SCENES = (
    "We saw {0} right beside {1} {2}.",
    "The picture shows {0} and {1} {2}.",
    "My sister drew {0} and {1} {2}.",
    "There is {0} behind {1} {2}.",
    "Somebody painted {0} next to {1} {2}.",
)


def sentence_of_length(draw: random.Random) -> Iterator[Instruction]:
    phrasings = (
        "Write a sentence of exactly {count} words about {thing}.",
        "In exactly {count} words, write one sentence about {thing}.",
    )
    answers = {
        5: "We looked at the {}.",
        6: "Yesterday we saw the old {}.",
        7: "Everyone here knows about the famous {}.",
        8: "Nobody in our street ever forgot the {}.",
    }
    for thing in draw.sample(THINGS, 85):
        count = draw.choice(list(answers))
        text = draw.choice(phrasings).format(count=NUMBER_WORDS[count], thing=f"the {thing}")
        ways = (answers[count], *_MORE_ANSWERS[count])
        yield make(
            text=text,
            kind="sentence of a length",
            answer=ways[len(thing) % len(ways)].format(thing),
            checks=(
                has(thing),
                _NO_ECHO,
                {"check": "words", "exactly": count},
                sentences(1),
                CLOSED,
                written(text, topics=[thing]),
            ),
        )


_MORE_ANSWERS = {
    5: ("She drew the {} yesterday.", "They talked about the {}."),
    6: ("My cousin photographed the {} twice.", "The {} is in this picture."),
    7: ("The children asked me for the {}.", "The {} is in the story again."),
    8: ("My uncle told us about the old {}.", "Last night I dreamt of the old {}."),
}  # fmt: skip


_TABOO = word_list("forbidden_words")


def taboo(draw: random.Random) -> Iterator[Instruction]:
    phrasings = (
        'Write one sentence about {} without the word "{}".',
        'Describe {} in a single sentence that avoids the word "{}".',
        'Tell me something about {} in one sentence; the word "{}" is forbidden.',
    )
    for row in _TABOO:
        for word in row["forbidden"]:
            text = draw.choice(phrasings).format(row["topic"], word)
            yield make(
                text=text,
                kind="forbidden word",
                answer=row["answer"],
                checks=(
                    has(row["name"]),
                    lacks([word]),
                    _NO_ECHO,
                    sentences(1),
                    words(4, 30),
                    CLOSED,
                    written(text, topics=[row["name"]]),
                ),
            )


def lists(draw: random.Random) -> Iterator[Instruction]:
    phrasings = {
        "numbered": (
            "List {count} {what} as a numbered list and nothing else.",
            "Give a numbered list of {count} {what}, one a line.",
        ),
        "bulleted": (
            "List {count} {what} as bullet points that begin with a dash, nothing else.",
            "Write {count} {what}, each on a line of its own after a dash.",
        ),
        "separated": (
            "Name {count} {what}, separated by commas, on one line.",
            "Write {count} {what} in one line with commas between them, nothing else.",
        ),
    }
    for what, members in CATEGORIES.items():
        for style, ways in phrasings.items():
            count = draw.randint(3, 5)
            first = draw.sample(members[: max(8, len(members) // 2)], count)
            chosen = distinct_members(what, [*first, *members], count)
            yield make(
                text=draw.choice(ways).format(count=NUMBER_WORDS[count], what=what),
                kind=f"{style} list",
                answer=_written(style, chosen),
                checks=(
                    _list_check(style, members_of(what), count, heads_of(what)),
                    words(count, 30),
                ),
            )


def _written(style: str, items: list[str]) -> str:
    if style == "separated":
        return ", ".join(items)
    marks = [f"{n + 1}." if style == "numbered" else "-" for n in range(len(items))]
    return "\n".join(f"{mark} {item}" for mark, item in zip(marks, items, strict=True))


def _list_check(
    style: str, members: tuple[tuple[str, ...], ...], count: int, heads: tuple[str, ...] = ()
) -> dict[str, object]:
    check: dict[str, object] = {
        "accepted": [member[0] for member in members],
        "forms": [list(member) for member in members],
        "exactly": count,
    }
    if heads:
        check["heads"] = list(heads)
    if style == "separated":
        return {"check": "separated", "separator": "comma"} | check
    marks = {"marks": "-\u2013\u2014"} if style == "bulleted" else {}
    return {"check": "listed", "style": style} | marks | check


def lists_by_letter(draw: random.Random) -> Iterator[Instruction]:
    phrasings = (
        "Name {count} {what} that begin with the letter {letter}, separated by commas.",
        "On one line, with commas, write {count} {what} beginning with {letter}.",
        "Which {count} {what} start with {letter}? Answer with the words and commas only.",
    )
    for what, members in CATEGORIES.items():
        for letter in sorted({member[0] for member in members}):
            right = [member for member in members if member.startswith(letter)]
            if len(right) < 4 or what in ("oceans", "planets"):
                continue
            count = draw.choice((2, 3))
            every = [
                tuple(form for form in member if form[0].casefold() == letter.casefold())
                for member in members_of(what)
            ]
            text = draw.choice(phrasings).format(
                count=NUMBER_WORDS[count], what=what, letter=letter.upper()
            )
            first = draw.sample(right, count)
            also = [member[0] for member in every if member]
            yield make(
                text=text,
                kind="list by letter",
                answer=", ".join(distinct_members(what, [*first, *right, *also], count)),
                checks=(
                    _list_check("separated", tuple(filter(None, every)), count),
                    words(count, 20),
                ),
            )


def json_objects(draw: random.Random) -> Iterator[Instruction]:
    phrasings = (
        "Write a JSON object with the keys {keys} for this: {fact} Reply with JSON only.",
        "Turn this into one JSON object with the keys {keys}: {fact}",
        "{fact} Give that as a JSON object whose keys are {keys}, and nothing else.",
    )
    for _ in range(150):
        value, fact = draw.choice((_person, _purchase, _trip, _book))(draw)
        keys = spoken([f'"{key}"' for key in value])
        yield make(
            text=draw.choice(phrasings).format(keys=keys, fact=fact),
            kind="JSON",
            answer=json.dumps(value),
            checks=({"check": "json", "object": value},),
        )


Fact = tuple[dict[str, object], str]


def _person(draw: random.Random) -> Fact:
    name, age, city = draw.choice(PEOPLE), draw.randint(18, 90), draw.choice(CITIES)
    return {"name": name, "age": age, "city": city}, f"{name} is {age} and lives in {city}."


def _purchase(draw: random.Random) -> Fact:
    thing, price = draw.choice(THINGS), draw.randint(2, 95)
    who = draw.choice(PEOPLE)
    value: dict[str, object] = {"buyer": who, "item": thing, "price": price}
    return value, f"{who} paid {price} dollars for one {thing}."


def _trip(draw: random.Random) -> Fact:
    start, end = draw.sample(CITIES, 2)
    hours = draw.randint(2, 19)
    return (
        {"from": start, "to": end, "hours": hours},
        f"The journey from {start} to {end} takes {hours} hours.",
    )


def _book(draw: random.Random) -> Fact:
    title = f"The {draw.choice(THINGS).title()} of {draw.choice(CITIES)}"
    author, pages = draw.choice(PEOPLE), draw.randint(90, 700)
    return (
        {"title": title, "author": author, "pages": pages},
        f'"{title}" by {author} has {pages} pages.',
    )


def notes(draw: random.Random) -> Iterator[Instruction]:
    phrasings = (
        "Write a thank-you note of two sentences to {who} for the {thing}.",
        "Thank {who} for the {thing} in exactly two sentences.",
        "In two sentences, write a note that thanks {who} for lending you the {thing}.",
    )
    for _ in range(95):
        who, thing = draw.choice(PEOPLE), draw.choice(THINGS)
        thing = LENT.get(thing, thing)
        text = draw.choice(phrasings).format(who=who, thing=thing)
        yield make(
            text=text,
            kind="note",
            answer=_THANKS[len(who + thing) % len(_THANKS)].format(who=who, thing=thing),
            checks=(
                has(who, thing),
                {"check": "accepts", "values": ["thank", "thanks", "grateful", "appreciate"]},
                lacks(["sentences", "no thanks", "no thank you", "not thank", "never thank"]),
                lacks([f"the {who}", f"thank the {thing}", f"thanks the {thing}"]),
                sentences(2),
                words(8, 50),
                CLOSED,
                written(text, letter=True),
            ),
        )


_THANKS = (
    "Thank you so much for the {thing}, {who}. It made my whole week better.",
    "Many thanks for the {thing}, {who}! You are very kind.",
    "Dear {who}, thank you for the {thing}. I was very happy to have it.",
    "{who}, I am very grateful for the {thing}. It was just what I needed.",
    "I really appreciate the {thing}, {who}. Come and see me soon.",
)


def slogans(draw: random.Random) -> Iterator[Instruction]:
    phrasings = (
        'Write a slogan for a {} in capital letters, with the word "{}" and at most eight words.',
        'A {} needs a slogan with "{}" in it: at most eight words, all in capital letters.',
    )
    goods = ("FRESH", "BEST", "TODAY", "SMILE", "QUALITY", "TOGETHER", "SIMPLE", "ALWAYS", "HOME")
    for place in PLACES:
        for word in draw.sample(goods, 4):
            phrasing = draw.choice(phrasings)
            if place[0] in "aeiou":
                phrasing = phrasing.replace("A {}", "An {}").replace("a {}", "an {}")
            text = phrasing.format(place, word)
            yield make(
                text=text,
                kind="slogan",
                answer=_SLOGANS[word].format(place.upper()),
                checks=(
                    has(word),
                    {"check": "case", "value": "upper"},
                    words(2, 8),
                    ONE_LINE,
                    lacks(["slogan", "words", "capital letters"]),
                    written(text, slogan=True),
                ),
            )


_SLOGANS = {
    "FRESH": "A FRESH START AT OUR {}!",
    "BEST": "THE BEST {} IN TOWN!",
    "TODAY": "VISIT OUR {} TODAY!",
    "SMILE": "OUR {} MAKES YOU SMILE!",
    "QUALITY": "QUALITY COMES FIRST AT OUR {}!",
    "TOGETHER": "TOGETHER WE LOVE OUR {}!",
    "SIMPLE": "LIFE IS SIMPLE AT OUR {}!",
    "ALWAYS": "OUR {} IS ALWAYS OPEN!",
    "HOME": "OUR {} FEELS LIKE HOME!",
}


KINDS = (
    *(sentence_with_words, sentence_of_length, taboo, lists, lists_by_letter),
    *(json_objects, notes, slogans, questions),
)
