"""Why answers are blank, and how many are: the engine keeps them from ending while they are, so
what remains has another cause. Earlier versions' answers, and other engines', are counted too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from .stop_reasons import DELIMITED, ENDED

END_FIRST, DELIMITER_FIRST = "end_of_text_first", "delimiter_first"
ONLY_WHITESPACE, CUT_BY_LIMIT = "only_whitespace", "cut_by_limit"
CAUSES = (END_FIRST, DELIMITER_FIRST, ONLY_WHITESPACE, CUT_BY_LIMIT)
NOT_RECORDED = "not_recorded"  # an earlier version's answer: its end is not stored


def blank_cause(text: str, finished: str, tokens: int) -> str | None:
    """Why an answer of `tokens` tokens is blank, one of `CAUSES`; None for one that is not."""
    if text.strip():
        return None
    if finished == ENDED:
        return END_FIRST if tokens <= 1 else ONLY_WHITESPACE
    return DELIMITER_FIRST if finished == DELIMITED else CUT_BY_LIMIT


def count_blanks(answers: Iterable[tuple[str, str | None]]) -> dict[str, Any]:
    """{n, blank, causes} of (text, cause) of each answer; each cause has its number."""
    causes = Counter(dict.fromkeys(CAUSES, 0))
    n = 0
    for text, cause in answers:
        n += 1
        if not text.strip():
            causes[cause if cause in CAUSES else NOT_RECORDED] += 1
    return {"n": n, "blank": causes.total(), "causes": dict(causes)}
