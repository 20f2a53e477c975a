"""Instructions about a given text: change case, sort, spell, extract, replace, classify."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from functools import partial

from ...verification.instruction import Instruction
from .checks import article, at_most, ends, only, states_number
from .replacements import REPLACED
from .replies import politeness
from .topics import (
    CITIES,
    COUNTED_SENTENCES,
    LONG_WORDS,
    PEOPLE,
    SENTENCES,
    SIMPLE_WORDS,
    THINGS,
)
from .word_lists import word_list

make = partial(Instruction, type="response")
_LEADS = (
    "new",
    "rewritten",
    "changed",
    "sentence",
    "letters",
    "capital",
    "case",
    "version",
    "spelling",
)


def _sequence(values: list[str], commas: bool = True) -> dict[str, object]:
    """These values in order; between commas where the instruction says so."""
    check: dict[str, object] = {"check": "sequence", "values": values}
    return check | {"separator": "comma" if commas else "any"}


def upper_and_lower(draw: random.Random) -> Iterator[Instruction]:
    phrasings = {
        str.upper: (
            "Write this sentence in capital letters: {}",
            "Change every letter to a capital letter: {}",
        ),
        str.lower: (
            "Write this sentence in small letters only: {}",
            "Put everything into lower case: {}",
        ),
    }
    for sentence in SENTENCES:
        for change, ways in phrasings.items():
            # What is to be made small is given in capitals: copying it would not do.
            given = sentence.upper() if change is str.lower else sentence
            frame = draw.choice(ways)
            right = change(sentence)
            task = frame.format("").replace("this sentence", "the sentence")
            yield make(
                text=frame.format(f"{given}."),
                kind="case",
                answer=f"{right}.",
                checks=(
                    only(right, case=True)
                    if "only" in frame
                    else ends(task, right, case=True, known=_LEADS),
                ),
            )


def sorting(draw: random.Random) -> Iterator[Instruction]:
    phrasings = (
        "Sort these words alphabetically and separate them with commas: {}",
        "Put the words in alphabetical order, with commas: {}",
        "Arrange from A to Z, separated by commas: {}",
    )
    for _ in range(95):
        words = draw.sample(SIMPLE_WORDS, draw.randint(3, 5))
        if words == sorted(words):
            continue
        yield make(
            text=draw.choice(phrasings).format(", ".join(words)),
            kind="sorting words",
            answer=", ".join(sorted(words)),
            checks=(_sequence(sorted(words)), at_most(20)),
        )


def sorting_numbers(draw: random.Random) -> Iterator[Instruction]:
    phrasings = {
        False: ("Sort from small to large, with commas: {}", "Put in ascending order: {}"),
        True: ("Sort from large to small, with commas: {}", "Put in descending order: {}"),
    }
    for _ in range(70):
        falling = draw.random() < 0.5
        given = draw.sample(range(2, 199), 5)
        result = [str(value) for value in sorted(given, reverse=falling)]
        text = draw.choice(phrasings[falling]).format(", ".join(map(str, given)))
        yield make(
            text=text,
            kind="sorting numbers",
            answer=", ".join(result),
            checks=(_sequence(result, commas="commas" in text), at_most(20)),
        )


def reversing(draw: random.Random) -> Iterator[Instruction]:
    phrasings = (
        "Write these words in reverse order, with commas: {}",
        "Give the list backwards, separated by commas: {}",
    )
    for _ in range(60):
        words = draw.sample(SIMPLE_WORDS, draw.randint(3, 5))
        yield make(
            text=draw.choice(phrasings).format(", ".join(words)),
            kind="reversing",
            answer=", ".join(reversed(words)),
            checks=(_sequence(words[::-1]), at_most(20)),
        )


def spelling(draw: random.Random) -> Iterator[Instruction]:
    phrasings = {
        "-": "Spell the word {} with hyphens between the letters.",
        " ": "Spell {}, with a blank between each two letters.",
    }
    for word in (*SIMPLE_WORDS, *LONG_WORDS[:30]):
        mark = draw.choice(list(phrasings))
        right = mark.join(word)
        yield make(
            text=phrasings[mark].format(word),
            kind="spelling",
            answer=right,
            checks=(ends(phrasings[mark].format(word), right, known=_LEADS),),
        )


def initials(draw: random.Random) -> Iterator[Instruction]:
    phrasings = (
        "Write only the first letter of each word, without blanks: {}",
        "Which letters do these words begin with? Write them together: {}",
    )
    for _ in range(50):
        words = draw.sample(SIMPLE_WORDS, 4)
        right = "".join(word[0] for word in words)
        phrasing = draw.choice(phrasings)
        yield make(
            text=phrasing.format(" ".join(words)),
            kind="initials",
            answer=right,
            checks=(
                only(right)
                if "only" in phrasing
                else ends(phrasing.format(""), right, known=("letters", "first", *_LEADS)),
            ),
        )


def extracting(draw: random.Random) -> Iterator[Instruction]:
    for _ in range(110):
        who, city, thing = draw.choice(PEOPLE), draw.choice(CITIES), draw.choice(THINGS)
        place, code = draw.choice(PEOPLE).lower(), draw.randint(1001, 9899)
        address = f"{who.lower()}@{place}.example"
        text, field, right = draw.choice(
            (
                (f"Order {code} for {who} in {city}: one {thing}.", "order number", str(code)),
                (
                    f"Please write to {who} at {address} about the {thing}.",
                    "e-mail address",
                    address,
                ),
                (f"The {thing} that {who} ordered goes to {city}.", "city", city),
                (f"In {city} somebody named {who} found {article(thing)}.", "person's name", who),
            )
        )
        phrasing = draw.choice(("Extract only the {}: {}", "Answer with the {} in this text: {}"))
        yield make(
            text=phrasing.format(field, text),
            kind="extracting",
            answer=right,
            checks=(
                only(right)
                if "only" in phrasing
                else ends(
                    phrasing.format(field, ""),
                    right,
                    nouns=(field.split()[-1],),
                    wholes=(f"#{right}",) if right.isdigit() else (),
                ),
            ),
        )


def replacing(draw: random.Random) -> Iterator[Instruction]:
    phrasings = (
        'Replace "{}" with "{}" in this sentence: {}',
        'Write the sentence again with "{}" changed to "{}": {}',
    )
    for sentence in SENTENCES:
        old = draw.choice([word for word in sentence.split()[1:] if len(word) > 3])
        new = draw.choice([word for word in THINGS if word not in sentence])
        old, new = REPLACED.get(sentence, (old, new))  # so that a sentence remains
        right = " ".join(new if word == old else word for word in sentence.split())
        phrasing = draw.choice(phrasings)
        yield make(
            text=phrasing.format(old, new, f"{sentence}."),
            kind="replacing",
            answer=f"{right}.",
            checks=(ends(phrasing.format("", "", ""), right, known=_LEADS),),
        )


_EACH_COUNT = 30


def counting(draw: random.Random) -> Iterator[Instruction]:
    phrasings = (
        "How many words does this sentence have? Answer in digits. {}",
        "Count the words and answer in digits: {}",
    )
    counts: Counter[int] = Counter()
    for sentence in (*SENTENCES, *COUNTED_SENTENCES):
        count = len(sentence.split())
        text = draw.choice(phrasings).format(f"{sentence}.")
        answer = f"The sentence has {count} words."
        counts[count] += 1
        if counts[count] > _EACH_COUNT:  # no count is right for a third of the sentences
            continue
        stated = states_number(
            text,
            answer,
            count,
            units=("words",),
            known=("contains", "count", "number", "there", "words"),
            followers=("long",),
        )
        yield make(text=text, kind="count of words", answer=answer, checks=(stated, at_most(25)))


def picking(draw: random.Random) -> Iterator[Instruction]:
    names = {"first": 0, "last": -1, "second": 1, "third": 2}
    phrasings = (
        "Write only the {} word of this sentence: {}",
        "What is the {} word here? Answer with that word alone. {}",
    )
    for sentence in SENTENCES:
        name = draw.choice(list(names))
        right = sentence.split()[names[name]]
        yield make(
            text=draw.choice(phrasings).format(name, f"{sentence}."),
            kind="picking a word",
            answer=right,
            checks=(only(right),),
        )


def moods(draw: random.Random) -> Iterator[Instruction]:
    phrasings = (
        "Is this review positive or negative? Answer with one word. {}",
        "Classify as positive or negative, in one word: {}",
    )
    for right, reviews in word_list("reviews").items():
        for review in reviews:
            yield make(
                text=draw.choice(phrasings).format(review),
                kind="mood",
                answer=right,
                checks=(only(right),),
            )


KINDS = (
    *(upper_and_lower, sorting, sorting_numbers, reversing, spelling, initials, extracting),
    *(replacing, counting, picking, moods, politeness),
)
