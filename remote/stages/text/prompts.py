"""Prompts for a model without a chat template.

The bare prompt is the instruction and a line break; a response begins with a space, so that the
tokens of prompt and response never merge. No roles, no special tokens.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..verification.instruction import Instruction

SHEETS = 8  # of solved examples, for all instructions of one seed
DELIMITER = "\n###\n"  # ends a response on a sheet of solved instructions
# A line of its own: "### Heading" in a response is no delimiter. The first line may be one, since
# a prompt ends with a line break.
_END = re.compile(r"(?:^|\n)###[ \t]*(?:\n|$)")
_COMPLETE = re.compile(r"\n###[ \t]*\n")


def bare(instruction: str) -> str:
    """The prompt that consists of the instruction and a line break."""
    return instruction.strip() + "\n"


def completion(response: str) -> str:
    """The response as it follows a prompt: with a leading space."""
    return " " + response.strip()


def solved(instruction: Instruction) -> str:
    """One solved item of a sheet, with its delimiter."""
    return bare(instruction.text) + completion(instruction.answer) + DELIMITER


def cut(text: str) -> str:
    """The response in a generated text: everything before the delimiter, stripped."""
    return _END.split(text, maxsplit=1)[0].strip()


def delimited(text: str) -> bool:
    """Whether `text` contains a complete delimiter, whatever follows."""
    return _COMPLETE.search(text) is not None


@dataclass(frozen=True)
class CompletionStylePrompts:
    """Few-shot prompts: one of a few fixed sheets of `shots` solved examples of `pool`.

    The instruction decides which sheet stands above it, so that many prompts begin alike and their
    beginning is computed once.
    """

    pool: Sequence[Instruction]
    shots: int = 3
    seed: int = 0

    def render(self, instruction: str) -> str:
        """The prompt for `instruction`; the instruction itself is never among its examples."""
        first = hashlib.sha256(f"{self.seed}/{instruction}".encode()).digest()[0] % SHEETS
        for number in range(first, first + SHEETS):
            sheet = self._sheet(number % SHEETS, list(self.pool))
            if all(example.text != instruction for example in sheet):
                break
        else:  # a small pool: every sheet holds the instruction
            others = [example for example in self.pool if example.text != instruction]
            sheet = self._sheet(first, others)
        return "".join(map(solved, sheet)) + bare(instruction)

    def _sheet(self, number: int, examples: list[Instruction]) -> list[Instruction]:
        draw = random.Random(f"{self.seed}/sheet {number}")  # noqa: S311 - not a secret
        return draw.sample(examples, self.shots)
