"""Instructions to explain something, which no rule can check: for a critic, never a success."""

from __future__ import annotations

from collections.abc import Iterator

from ...verification.instruction import CRITIC, Instruction
from ...verification.verifier import Check
from .checks import words
from .word_lists import word_list

JUDGED: Check = {"check": "critic"}  # no rule lets it pass


def explanations() -> Iterator[Instruction]:
    """The instructions in a fixed order; their kind is `CRITIC`."""
    for row in word_list("explanations"):
        text = f"Explain {row['topic']} in two or three sentences."
        yield Instruction(text, "generation", CRITIC, row["answer"], (words(8, 90), JUDGED))
