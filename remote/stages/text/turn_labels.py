"""Labels that open a turn, such as "Instruction:" and "Answer:"."""

from __future__ import annotations

import re

PROMPTS = r"(?:new )?(?:instruction|prompt)|human"  # nothing else begins like this
TURNS = r"user|question|q|task|exercise|problem"  # a prompt only where an answer's label follows
ANSWERS = r"assistant|answer|a|response|solution|bot|ai|output"
_ALSO = {"q": ("question", "faq", "quiz"), "a": ("answer", "faq", "quiz")}


def label(names: str) -> re.Pattern[str]:
    """Matches one of `names` with its colon at the beginning of a line; group 1 is the name."""
    return re.compile(rf"[ \t]*(?:[#*]+[ \t]*)?({names})[ \t]*\d*[ \t]*(?:\*\*)?:", re.IGNORECASE)


def asked_for(name: str, instruction: str) -> bool:
    """Whether the instruction itself asks for such a label."""
    words = _ALSO.get(name.lower(), (name.lower(),))
    return any(word in instruction.lower() for word in (*words, "dialogue", "conversation"))
