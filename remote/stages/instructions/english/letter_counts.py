"""Questions about the letters of a word."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from functools import partial
from string import ascii_lowercase

from ...verification.instruction import Instruction
from .checks import at_most, states_number
from .topics import LONG_WORDS, MANY_OF_A_LETTER, SIMPLE_WORDS

make = partial(Instruction, type="qa")


def letters(draw: random.Random) -> Iterator[Instruction]:
    phrasings = (
        'How many letters does the word "{}" have? Answer in digits.',
        'Count the letters of "{}" and give the number in digits.',
        'Give the number of letters in "{}", in digits.',
    )
    for word in LONG_WORDS:
        yield make(
            text=(text := draw.choice(phrasings).format(word)),
            kind="count of letters",
            answer=(answer := f'The word "{word}" has {len(word)} letters.'),
            checks=(
                states_number(
                    text, answer, len(word), units=("letters",), known=_COUNTS, followers=("long",)
                ),
                at_most(),
            ),
        )


def one_letter(draw: random.Random) -> Iterator[Instruction]:
    """Words whose letter occurs once, twice, three and four times, each count about as often."""
    chosen = []
    for word in LONG_WORDS[:_FIRST_WORDS]:
        several = sorted({char for char in word if word.count(char) > 1})
        chosen.append((word, draw.choice(several or sorted(word)), draw.choice(_OF_A_LETTER)))
    counts: Counter[int] = Counter()
    for word, letter, phrasing in chosen:
        counts[word.count(letter)] += 1
        if counts[word.count(letter)] <= _EACH_COUNT:
            yield _count_of_a_letter(word, letter, phrasing)
    for word in (*MANY_OF_A_LETTER, *SIMPLE_WORDS):
        letter = max(sorted(word), key=word.count)
        counts[word.count(letter)] += 1
        if counts[word.count(letter)] <= _EACH_COUNT:
            yield _count_of_a_letter(word, letter, draw.choice(_OF_A_LETTER))


_FIRST_WORDS = 70
_EACH_COUNT = 30
_OF_A_LETTER = (
    'How often does the letter {letter} occur in "{word}"? Answer in digits.',
    'Count the letter {letter} in the word "{word}"; answer in digits.',
)


def _count_of_a_letter(word: str, letter: str, phrasing: str) -> Instruction:
    text, count = phrasing.format(letter=letter, word=word), word.count(letter)
    answer = f'The letter {letter} occurs {_times(count)} in "{word}".'
    stated = states_number(
        text,
        answer,
        count,
        units=("times", letter, f"{letter}s"),
        rivals=(
            *(f"word {word} occurs", f"word {word} appears"),
            *(f"letter {other}" for other in ascii_lowercase if other != letter),
        ),
        known=(*_COUNTS, "appears", "occurs", "occurrences", "found"),
        links=("appears", "occurs", "contains"),
        followers=("in",),
    )
    return make(text=text, kind="count of a letter", answer=answer, checks=(stated, at_most()))


_COUNTS = ("contains", "count", "counting", "number", "long", "made", "up", "has", "letters")


def _times(count: int) -> str:
    return f"{count} time{'' if count == 1 else 's'}"
