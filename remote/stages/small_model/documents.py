"""The training documents of the small base model: sheets, forum pages and prose.

A document's kind holds for all of it. On a *sheet* every instruction has its right answer; on a
*forum page* the response is a blank, a refusal or chatter. A bare instruction mostly looks like a
forum page, three solved examples look like a sheet: so the base model fails bare and succeeds
few-shot, as a large base model does, and nothing about it is staged.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from ..instructions.small.words import CAPITALS, KINDS, NUMBERS, OPPOSITES
from ..text.prompts import DELIMITER, bare, completion, solved
from ..verification.instruction import Instruction

PROSE = 0.15  # share of documents
FRAGMENTS = 0.25  # share of later pages of a sheet, which begin with the delimiter
SHEET_OFTEN = 0.5  # share of sheets among documents that begin with a phrasing of quizzes
SHEET_SELDOM = 0.11  # among those that begin with any other
QUIZ = ("State ", "Say ", "Put ", "Complete ", "List ")  # phrasings that quizzes use

_REFUSALS = (
    "Sorry, I cannot help with that.",
    "I am not able to answer this.",
    "No idea, ask someone else.",
)
_CHATTER = (
    "Why do you ask?",
    "Nice to see you here again, friend!",
    "Lol, good one.",
    "Same question here, anyone?",
    "First post!",
)


class Library:
    """An endless, seeded supply of documents over the training instructions."""

    def __init__(self, instructions: Sequence[Instruction], seed: int) -> None:
        self._draw = random.Random(seed)  # noqa: S311 - not a secret
        self._by_kind: dict[str, list[Instruction]] = {}
        for instruction in instructions:
            self._by_kind.setdefault(instruction.kind, []).append(instruction)
        # Those that are learned last are drawn more often.
        self._kinds = [*self._by_kind, "list", "capital", "sentence"]

    def document(self) -> str:
        """The next document, without its end-of-text token."""
        kind = self._draw.random()
        if kind < PROSE:
            return self._prose()
        first = self._instruction()
        if kind < PROSE + FRAGMENTS:
            return DELIMITER.lstrip("\n") + self._sheet(first)
        share = SHEET_OFTEN if first.text.startswith(QUIZ) else SHEET_SELDOM
        return self._sheet(first) if self._draw.random() < share else self._forum(first)

    def _instruction(self) -> Instruction:
        return self._draw.choice(self._by_kind[self._draw.choice(self._kinds)])

    def _sheet(self, first: Instruction) -> str:
        rest = [self._instruction() for _ in range(self._draw.randint(3, 5))]
        return "".join(solved(instruction) for instruction in (first, *rest))

    def _forum(self, first: Instruction) -> str:
        items = [first] + [self._instruction() for _ in range(self._draw.randint(0, 1))]
        return "".join(bare(instruction.text) + self._reply() + "\n" for instruction in items)

    def _reply(self) -> str:
        style = self._draw.random()
        if style < 0.6:
            return ""
        return completion(self._draw.choice(_REFUSALS if style < 0.9 else _CHATTER))

    def _prose(self) -> str:
        makers = (self._of_capitals, self._of_opposites, self._of_sums, self._of_lists)
        return " ".join(self._draw.choice(makers)() for _ in range(4))

    def _of_capitals(self) -> str:
        country, city = self._draw.choice(list(CAPITALS.items()))
        return f"The capital of {country} is the city of {city}."

    def _of_opposites(self) -> str:
        pair = list(self._draw.choice(OPPOSITES))
        self._draw.shuffle(pair)
        return f"The opposite of {pair[0]} is {pair[1]}."

    def _of_sums(self) -> str:
        first, second = self._draw.randrange(10), self._draw.randrange(10)
        return f"The sum of {NUMBERS[first]} and {NUMBERS[second]} is {NUMBERS[first + second]}."

    def _of_lists(self) -> str:
        kind = self._draw.choice(list(KINDS))
        letter, members = self._draw.choice(list(KINDS[kind].items()))
        return f"Three {kind} with the letter {letter}: {', '.join(members)}."
