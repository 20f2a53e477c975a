"""Does a line read as an instruction? By its first word and its end, never by its length."""

from __future__ import annotations

import re

_QUESTIONS = "what which who whom whose where when why how"
_VERBS = """
add answer arrange ask calculate change choose compare complete compose compute continue convert
count create define describe design discuss draft estimate evaluate explain fill find finish
generate give identify imagine invent list make mention multiply name order outline pick predict
propose provide put rank recommend repeat reply respond reverse rewrite rephrase say select shorten
show simplify solve sort spell state subtract suggest summarise summarize tell translate turn use
write
"""
_OPENINGS = frozenset(f"{_QUESTIONS} {_VERBS} please".split())
_LIST_ITEM = re.compile(r"\s*(?:[-*•]|\(?\w{1,3}[.)])\s")
_FIRST = re.compile(r"[\"'“(]*([A-Za-z]+)")


def reads_as_instruction(line: str) -> bool:
    """A question, or a sentence that begins with an imperative."""
    text = line.strip()
    if text.endswith("?"):
        return True
    first = _FIRST.match(text)
    return bool(first and first[1].lower() in _OPENINGS and text[-1] in ".:!\"'”")


def is_list_item(line: str) -> bool:
    """It begins with a bullet, a number or a letter of a list."""
    return _LIST_ITEM.match(line) is not None
