"""Instructions to write text under constraints: words, lists, JSON, letters."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from functools import partial

from ...verification.instruction import Instruction
from .categories import CATEGORIES, accepted
from .checks import CLOSED, NUMBER_WORDS, ONE_LINE, article, has, lacks, sentences, spoken, words
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
    for _ in range(150):
        first, second = draw.sample(THINGS, 2)
        place = draw.choice(PLACES)
        yield make(
            text=draw.choice(phrasings).format(first, second),
            kind="sentence with words",
            answer=f"In the {place} we saw {article(first)} right beside {article(second)}.",
            checks=(has(first, second), _NO_ECHO, sentences(1), words(6, 30), CLOSED),
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
        yield make(
            text=draw.choice(phrasings).format(count=NUMBER_WORDS[count], thing=f"the {thing}"),
            kind="sentence of a length",
            answer=answers[count].format(thing),
            checks=(
                has(thing),
                _NO_ECHO,
                {"check": "words", "exactly": count},
                sentences(1),
                CLOSED,
            ),
        )


_TABOO = word_list("forbidden_words")


def taboo(draw: random.Random) -> Iterator[Instruction]:
    phrasings = (
        'Write one sentence about {} without the word "{}".',
        'Describe {} in a single sentence that avoids the word "{}".',
        'Tell me something about {} in one sentence; the word "{}" is forbidden.',
    )
    for row in _TABOO:
        for word in row["forbidden"]:
            yield make(
                text=draw.choice(phrasings).format(row["topic"], word),
                kind="forbidden word",
                answer=row["answer"],
                checks=(
                    has(row["name"]),
                    lacks([word]),
                    _NO_ECHO,
                    sentences(1),
                    words(4, 30),
                    CLOSED,
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
            chosen = draw.sample(members[: max(8, len(members) // 2)], count)
            yield make(
                text=draw.choice(ways).format(count=NUMBER_WORDS[count], what=what),
                kind=f"{style} list",
                answer=_written(style, chosen),
                checks=(_list_check(style, accepted(what), count), words(count, 30)),
            )


def _written(style: str, items: list[str]) -> str:
    if style == "separated":
        return ", ".join(items)
    marks = [f"{n + 1}." if style == "numbered" else "-" for n in range(len(items))]
    return "\n".join(f"{mark} {item}" for mark, item in zip(marks, items, strict=True))


def _list_check(style: str, members: tuple[str, ...], count: int) -> dict[str, object]:
    check: dict[str, object] = {"accepted": list(members), "exactly": count}
    if style == "separated":
        return {"check": "separated"} | check
    return {"check": "listed", "style": style} | check


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
            every = [member for member in accepted(what) if member.startswith(letter)]
            yield make(
                text=draw.choice(phrasings).format(
                    count=NUMBER_WORDS[count], what=what, letter=letter.upper()
                ),
                kind="list by letter",
                answer=", ".join(draw.sample(right, count)),
                checks=(_list_check("separated", tuple(every), count), words(count, 20)),
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
        yield make(
            text=draw.choice(phrasings).format(who=who, thing=thing),
            kind="note",
            answer=f"Thank you so much for the {thing}, {who}. It made my whole week better.",
            checks=(
                has(who, thing),
                {"check": "accepts", "values": ["thank", "thanks", "grateful", "appreciate"]},
                lacks(["sentences"]),
                sentences(2),
                words(8, 50),
                CLOSED,
            ),
        )


def slogans(draw: random.Random) -> Iterator[Instruction]:
    phrasings = (
        'Write a slogan for a {} in capital letters, with the word "{}" and at most eight words.',
        'A {} needs a slogan with "{}" in it: at most eight words, all in capital letters.',
    )
    goods = ("FRESH", "BEST", "TODAY", "SMILE", "QUALITY", "TOGETHER", "SIMPLE", "ALWAYS", "HOME")
    for place in PLACES:
        for word in draw.sample(goods, 4):
            yield make(
                text=draw.choice(phrasings).format(place, word),
                kind="slogan",
                answer=f"{word}: THAT IS OUR {place.upper()}!",
                checks=(has(word), {"check": "case", "value": "upper"}, words(3, 8), ONE_LINE),
            )


def questions(draw: random.Random) -> Iterator[Instruction]:
    phrasings = (
        "Write one question that a child could ask about a {}.",
        "Ask a single question about a {} and write nothing else.",
        "Which question would you ask about a {}? Write only the question.",
    )
    for thing in draw.sample(THINGS, 75):
        yield make(
            text=draw.choice(phrasings).format(thing),
            kind="question",
            answer=f"How long does it take to build a {thing} like that?",
            checks=(
                {"check": "any", "of": [[has(thing)], [has(f"{thing}s")]]},
                {"check": "ends_with", "value": "?"},
                sentences(1),
                words(4, 25),
                {"check": "any", "of": _ASKING},
                lacks(["question about", "question would"]),
            ),
        )


# A question begins with one of these.
_ASKING = [
    [{"check": "starts_with", "value": f"{word} "}]
    for word in (
        *("How", "Why", "What", "When", "Where", "Who", "Which", "Whose", "Can", "Could", "Do"),
        *("Does", "Did", "Is", "Are", "Was", "Were", "Will", "Would", "Should", "Has", "Have"),
    )
]

KINDS = (
    *(sentence_with_words, sentence_of_length, taboo, lists, lists_by_letter),
    *(json_objects, notes, slogans, questions),
)
