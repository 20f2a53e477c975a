"""Instructions to ask a question."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial

from ...verification.instruction import Instruction
from .checks import article, has_thing, lacks, sentences, words, written
from .topics import THINGS

make = partial(Instruction, type="generation")


def questions(draw: random.Random) -> Iterator[Instruction]:
    phrasings = (
        "Write one question that a child could ask about a {}.",
        "Ask a single question about a {} and write nothing else.",
        "Which question would you ask about a {}? Write only the question.",
    )
    for thing in draw.sample(THINGS, 75):
        text = draw.choice(phrasings).replace("a {}", "{}").format(article(thing))
        asked = _QUESTIONS[sum(map(ord, thing)) % len(_QUESTIONS)]
        yield make(
            text=text,
            kind="question",
            answer=asked.format(article(thing), thing),
            checks=(
                has_thing(thing),
                {"check": "ends_with", "value": "?"},
                sentences(1),
                words(4, 25),
                {"check": "begins_among", "values": list(_ASKING), "within": 3},
                lacks(["question about", "question would"]),
                written(text, topics=[thing], question_form=True),
            ),
        )


_QUESTIONS = (
    *("Have you ever seen {0}?", "What does {0} look like from far away?"),
    *("Why is this {1} so different from the last one?", "Where can we find {0}?"),
    *("Who gave you the picture of {0}?", "Is that {0} over there?", "How would you draw {0}?"),
    *("What is the best thing about {0}?", "Do you like the {1} in my picture?"),
    "Which {1} do you like most?",
)
# One of these is among the first three words of a question.
_ASKING = (
    *("How", "Why", "What", "When", "Where", "Who", "Which", "Whose", "Whom", "Can", "Could", "Do"),
    *("Does", "Did", "Is", "Are", "Am", "Was", "Were", "Will", "Would", "Should", "Shall", "Has"),
    *("Have", "Had", "May", "Might", "Must", "Isn't", "Aren't", "Don't", "Doesn't", "Didn't"),
    *("Won't", "What's", "Where's", "Who's", "How's", "Can't"),
)
