"""Detects lines that read as instructions, by how their clauses begin."""

from __future__ import annotations

import re

_QUESTIONS = "what which who whom whose where when why how is are was were do does did can could"
_VERBS = """
abbreviate add analyse analyze answer apologise apologize arrange ask begin calculate capitalise
capitalize change choose classify compare complete compose compute congratulate continue convert
correct count create decide define describe design determine discuss divide draft edit estimate
evaluate expand explain express extract fill find finish fix generate give guess identify imagine
insert introduce invent invite join label list make match mention multiply name order outline
paraphrase pick predict propose provide put rank recommend remind remove repeat rephrase replace
reply respond reverse rewrite round say select shorten show simplify solve sort spell state
subtract suggest summarise summarize take tell thank translate turn use write
"""
_OPENINGS = frozenset(_VERBS.split())
_ASKING = frozenset(_QUESTIONS.split())
_LIST_ITEM = re.compile(r"\s*(?:[-*•]|\(?\w{1,3}[.)])\s")
_CLAUSE = re.compile(r"(?:^|[.,:;?!)]\s+)[\"'“(]*(?:please |now |then )?([A-Za-z]+)", re.IGNORECASE)


def reads_as_instruction(line: str) -> bool:
    """Whether the line is a question, or one of its clauses begins with an imperative."""
    text = line.strip()
    firsts = [word.lower() for word in _CLAUSE.findall(text)]
    if any(word in _OPENINGS for word in firsts):
        return True
    return "?" in text and (text.endswith("?") or any(word in _ASKING for word in firsts))


def is_list_item(line: str) -> bool:
    """Whether the line begins with a bullet, or with a number or letter of a list."""
    return _LIST_ITEM.match(line) is not None
