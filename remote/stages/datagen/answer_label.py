"""Cuts the label before an answer, "Answer: 12", which the instruction did not ask for."""

from __future__ import annotations

import re
from dataclasses import replace

from ..text.turn_labels import TURNS, asked_for, label
from .candidate import Candidate

_LABEL = re.compile(
    r"[ \t]*(?:\*\*|__)?((?:the |final |my |correct )*(?:answer|a|solution))"
    r"[ \t]*(?:\*\*|__)?[ \t]*:[ \t]*(?:\*\*|__)?\s*(?=\S)",
    re.IGNORECASE,
)
_CHOICE = re.compile(r"(?<!\w)[b-e][ \t]*[:.)]", re.IGNORECASE)  # "A: 12 B: 13"
_LABELS = re.compile(rf"(?m)^{label(f'{TURNS}|answer|a|response|solution').pattern}", re.IGNORECASE)


def without_label(candidate: Candidate) -> Candidate:
    """The candidate without the label before its answer, where it has one and no other."""
    found = _LABEL.match(candidate.response)
    if found is None or asked_for(found[1].split()[-1], candidate.instruction.text):
        return candidate
    rest = candidate.response[found.end() :]
    if _LABELS.search(rest) or (found[1].casefold() == "a" and _CHOICE.search(rest)):
        return candidate
    return replace(candidate, response=rest)
