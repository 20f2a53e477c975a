"""Detects responses that run on into a new prompt, by its beginning and never by length."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..text.near_duplicates import normalised
from ..text.turn_labels import ANSWERS, PROMPTS, TURNS, asked_for, label
from ..verification.instruction import Instruction
from ..verification.instruction_like import is_list_item, reads_as_instruction
from ..verification.repetition import STOP_WORDS
from .candidate import Candidate

_OPENER, _TURN, _ANSWER = label(PROMPTS), label(TURNS), label(ANSWERS)
_RULE = re.compile(r"\s*(?:-{3,}|\*{3,}|={3,}|_{3,})\s*$")
_HEADING = re.compile(r"\s*(?:#|\*\*|__)")
_DELIMITER_LIKE = re.compile(r"[ \t]*(?:#[# \t]*$|(?:\\?#|\uff03){2,})")
_TRAILING = re.compile(r"\S[ \t]+#{2,}[ \t]*$")  # "101 ###"
_SCAFFOLD = re.compile(
    r"[ \t]*(?:\*\*)?(?:q|question|exercise|task|problem|instruction|prompt)s?"
    r"(?:[ \t]*\d+)?[ \t]*(?::|\.|$)",
    re.IGNORECASE,
)


def runaway(candidate: Candidate) -> str | None:
    """The response runs on into a new prompt: another instruction begins after it.

    Only the beginning of one counts: a delimiter spelt differently, a label such as
    "Instruction:", an instruction of the prompt once more, or a line that reads as an instruction
    and has its answer below it: in the form of the sheets, or about something new. Code and the
    first line never count.
    """
    lines = [*_outside_code(candidate.response)]
    instruction = candidate.instruction.text
    questions = asked_for("question", instruction)  # are what the response is to hold
    prompted = {normalised(line) for line in _instructions_of(candidate)}
    if why := _first_line(lines[0], candidate.instruction):
        return why
    for place, line in enumerate(lines[1:], 1):
        below = lines[place + 1] if place + 1 < len(lines) else ""
        if _like_delimiter(line, candidate.instruction):
            return "a delimiter, spelt differently, and no end"
        if _opens_prompt(line, lines[place + 1 :], instruction):
            return f"a new prompt begins: {line.strip()[:60]!r}"
        if line.strip() and normalised(line) in prompted:
            return f"an instruction of its prompt again: {line.strip()[:60]!r}"
        if _solved_below(line, below) or (
            not questions and _asked_below(lines[:place], line, lines[place + 1 :], instruction)
        ):
            return f"another instruction and its answer: {line.strip()[:60]!r}"
    return None


def _like_delimiter(line: str, instruction: Instruction) -> bool:
    """A row of # alone; in an answer of a few words also one before or behind text.

    Longer texts may have headings, of three # at most.
    """
    if instruction.type in ("completion", "qa"):
        return bool(_DELIMITER_LIKE.match(line) or _TRAILING.search(line))
    return bool(re.match(r"[ \t]*(?:#[# \t]*$|(?:\\?#|\uff03){4,})", line))


def _first_line(line: str, instruction: Instruction) -> str | None:
    """Why the first line opens no answer: a delimiter, the instruction again, a new question."""
    if _like_delimiter(line, instruction):
        return "begins with a delimiter, spelt differently"
    if normalised(line) and normalised(line) == normalised(instruction.text):
        return "its own instruction again"
    scaffold = _SCAFFOLD.match(line)
    if scaffold and not asked_for(scaffold[0].strip(" \t*:.").lower(), instruction.text):
        return f"begins with the scaffold of a question: {line.strip()[:60]!r}"
    return None


def _outside_code(text: str) -> Iterator[str]:
    """The lines, those inside ``` as blank ones."""
    inside = False
    for line in text.split("\n"):
        fence = line.lstrip().startswith("```")
        yield "" if inside or fence else line
        inside ^= fence


def _instructions_of(candidate: Candidate) -> Iterator[str]:
    """The instruction itself and those that its prompt holds solved."""
    yield candidate.instruction.text
    lines = candidate.prompt.split("\n")
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        if below.startswith(" ") and line.strip() and not line.startswith(" "):
            yield line


def _opens_prompt(line: str, rest: list[str], instruction: str) -> bool:
    """A label that opens a prompt, unless the instruction itself asks for such a label."""
    if (opener := _OPENER.match(line)) and not asked_for(opener[1], instruction):
        return True
    turn = _TURN.match(line)
    if turn is None or asked_for(turn[1], instruction):
        return False
    return any(_ANSWER.match(later) for later in rest)


def _asked_below(before: list[str], line: str, rest: list[str], instruction: str) -> bool:
    """`line` asks for something new, and the line below takes that up.

    New is a word that neither the instruction nor any line before has. After a rule any instruction
    counts, and the answer has to have one of its new words; elsewhere only a question does, and the
    answer has to say all of it. So who asks on the way to an answer, or in a heading, is none.
    """
    if not reads_as_instruction(line) or is_list_item(line) or _HEADING.match(line):
        return False
    above = [other for other in before if other.strip()]
    below = next((other for other in rest if other.strip()), "")
    question, answer = _subject(line), _subject(below)
    new = question - _subject("\n".join((instruction, *above)))
    if above and _RULE.match(above[-1]):
        return bool(new & answer)
    return bool(new) and question <= answer and line.rstrip().endswith("?")


def _subject(text: str) -> set[str]:
    """The words of `text` that are not stop words."""
    return {word for word in normalised(text).split() if word not in STOP_WORDS}


def _solved_below(line: str, below: str) -> bool:
    """The form of the sheets: an instruction at the margin, its answer after one space."""
    if not line.strip() or line[0] in " \t" or is_list_item(line) or not re.match(r" \S", below):
        return False
    if is_list_item(below) and line.rstrip().endswith(":"):
        return False  # a list of the response itself, with its heading
    return reads_as_instruction(line)
