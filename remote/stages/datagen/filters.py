"""Filters of generated responses; standard library only.

Each filter is a pure function of one candidate: why it must go, in words, or None. None of them
looks at how long a good response is, or counts its sentences: a filter that did once threw away
half of the good explanations. Labelled examples of both kinds are in the tests.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from ..model.stop_reasons import CUT_OFF
from ..text.chat_template import template_text
from ..text.near_duplicates import normalised
from ..text.turn_labels import ANSWERS, PROMPTS, asked_for, label
from ..verification.instruction import Instruction
from ..verification.specification import check_specification
from ..verification.verifier import VerifierError
from .answer_label import without_label
from .candidate import Candidate
from .runaway import runaway

MIN_CHARACTERS = 50  # a response must be longer, where its type allows that

Filter = Callable[[Candidate], str | None]

_HELP = (
    r"(?:help(?! \w+ing\b| but\b| it\b)|assist|answer|provide|fulfil\w*|comply"
    r"|complete (?:this|that|your)|translate|explain|process|continue with (?:this|that)"
    # To write what was asked for, not "to my aunt": who tells a story does that.
    r"|(?:write|create|generate|respond|reply)"
    r"(?=(?: to)? (?:this|that|it|you|your|an?)\b|[.,!]|\s*$)"
    r"|(?:tell|give) you (?:that|this|the|any)|do (?:this|that|it|so)(?=[.,!]|$| for you))\b"
)
_CANNOT = r"(?:can(?:no|')?t|can not|could not|am not able to|am unable to|will not|won't)"
_APOLOGY = r"(?:(?:i am |i'm )?(?:so |very |really )?(?:sorry|afraid)|unfortunately|apologies)"
_SORRY = rf"(?:{_APOLOGY},? (?:but )?)?"
_REFUSALS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"(?:{_APOLOGY}[^.!?]{{0,40}}?[,.]? (?:but )?)?i {_CANNOT} (?:\w+ )?{_HELP}",
        rf"{_SORRY}(?:i'm|i am) (?:not able|unable|not allowed) to (?:\w+ )?{_HELP}",
        rf"{_APOLOGY}\b[^.!?]*\b(?:not|nothing|isn't) (?:something |anything )?(?:that )?i can\b",
        r"as an? (?:ai|artificial intelligence|(?:large )?language model)\b",
        r"(?:i am|i'm) (?:just |only )?an? (?:ai|(?:large )?language model)\b",
        rf"{_SORRY}(?:i (?:do not|don't) know|i have no idea|no idea)"
        r"(?:,[^.!?]*| (?:the answer|that|this|how|anything|enough|much)\b[^.!?]*)?[.!?]*\s*$",
        rf"{_APOLOGY}[,.!]* (?:but )?no[.!]*$",
        rf"{_SORRY}i (?:(?:must|have to|need to|will have to) )?(?:\w+ly )?decline "
        rf"(?:to {_HELP}|your\b)",
        rf"{_SORRY}(?:i'd|i would) (?:rather not|prefer not to) {_HELP}",
        rf"{_SORRY}it(?: is|'s) (?:impossible|not possible) for me to {_HELP}",
        rf"{_SORRY}(?:this|that|your|the|it)(?: \w+)? (?:goes|is) "
        r"(?:against|beyond|outside) (?:of )?my (?:\w+ )?"
        r"(?:guidelines|polic(?:y|ies)|rules|programming|abilit(?:y|ies)|capabilities)\b",
    )
)


_NO_ANSWER = re.compile(
    r"(?:i (?:can(?:no|')?t|can not) (?:say|tell)|i'?m not sure|i am not sure|n/?a"
    r"|none of the above|not enough information|no answer|unknown|it depends"
    r"|there is no answer)[.!]*",
    re.IGNORECASE,
)


def refusal(candidate: Candidate) -> str | None:
    """The response begins by declining; somebody who declines in a story does not count."""
    start = candidate.response.lstrip().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    if (empty := _NO_ANSWER.fullmatch(start.rstrip())) and candidate.instruction.reasons(start):
        return f"declines: {empty[0][:60]!r}"
    matches = (pattern.match(start) for pattern in _REFUSALS)
    refused = next((match for match in matches if match), None)
    return f"declines: {refused[0][:60]!r}" if refused else None


def cut_off(candidate: Candidate) -> str | None:
    """Generation ended at max_new_tokens, before the response did."""
    return "neither a delimiter nor an end of text came" if candidate.finished == CUT_OFF else None


_BROKEN = re.compile(r"[\ufffd\x00-\x08\x0b-\x1f\x7f]|[\ud800-\udfff]")
_ROLE = label(f"{PROMPTS}|{ANSWERS}|user|system")
_STUCK = 4  # times the same sentence


def malformed(candidate: Candidate) -> str | None:
    """The response is blank, or has template tokens, broken characters or a role's label."""
    text = candidate.response.strip()
    if not text:
        return "blank"
    if markup := template_text(text):
        return f"template text {markup!r}"
    if markup := _unasked_markup(text, candidate.instruction.text):
        return f"markup that was not asked for: {markup!r}"
    if _BROKEN.search(text):
        return "broken characters"
    role = _ROLE.match(without_label(candidate).response.strip())
    if role and not asked_for(role[1], candidate.instruction.text):
        return f"begins with a label: {role[0].strip()!r}"
    if sum(line.lstrip().startswith("```") for line in text.split("\n")) % 2:
        return "a block of code without an end"
    if re.search(r"[,(\[{:]$", text) and not re.search(r"[:;]-?[(\[{]$", text):
        return "ends in the middle of a sentence"
    if stuck := _stuck(text, candidate.instruction.text):
        return f"says the same again and again: {stuck[:60]!r}"
    return None


_MARKUP = re.compile(
    r"</?(?:html|body|p|h[1-6]|div|span|br|ul|ol|li)\b[^>]{0,80}>"
    r"|\\boxed\{|\\(?:begin|text|frac)\{|https?://\S",
    re.IGNORECASE,
)
_ASKS_FOR_MARKUP = re.compile(
    r"\b(?:html|latex|markup|tags?|link|url|website|web page|address|code)\b", re.IGNORECASE
)


def _unasked_markup(text: str, instruction: str) -> str | None:
    """A tag, a formula's command or an address where the instruction speaks of none."""
    markup = _MARKUP.search(text)
    return markup[0] if markup and not _ASKS_FOR_MARKUP.search(instruction) else None


def _stuck(text: str, instruction: str) -> str | None:
    """A sentence that is repeated although the instruction does not ask for it, or None."""
    counts: dict[str, int] = {}
    for sentence in re.split(r"(?<=[.!?])\s+|\n+", text):
        key = normalised(sentence)
        counts[key] = counts.get(key, 0) + 1
        if counts[key] >= _STUCK and len(key.split()) > 2 and key not in normalised(instruction):
            return sentence
    return None


def short(candidate: Candidate) -> str | None:
    """The response has 50 characters or fewer although the instruction allows more."""
    length = len(candidate.response.strip())
    if length > MIN_CHARACTERS or may_be_short(candidate.instruction):
        return None
    if _is_right(candidate):
        return None  # its verifier knows how short a right answer may be
    return f"{length} characters"


_SHORT_TYPES = ("completion", "qa")
_BOUNDED = {"characters": MIN_CHARACTERS, "words": 10, "lines": 1}
_EXACT = ("answer", "number", "separated", "sequence", "json", "json_keys", "listed", "case")


def _is_right(candidate: Candidate) -> bool:
    """Whether the verifier, one of more than form, calls the response right."""
    try:
        check_specification(candidate.instruction.checks)
    except VerifierError:
        return False
    return not candidate.instruction.reasons(candidate.response)


def may_be_short(instruction: Instruction) -> bool:
    """Whether a correct response may have 50 characters or fewer.

    Its own answer says so; where there is none, its type, or checks that leave no room.
    """
    if instruction.answer:
        return len(instruction.answer.strip()) <= MIN_CHARACTERS
    if instruction.type in _SHORT_TYPES:
        return True
    return any(_leaves_no_room(check) for check in instruction.checks)


def _leaves_no_room(check: Mapping[str, object]) -> bool:
    name = str(check.get("check"))
    most = check.get("exactly", check.get("at_most"))
    if name in _BOUNDED and isinstance(most, int):
        return most <= _BOUNDED[name]
    return name in _EXACT


FILTERS: Mapping[str, Filter] = {
    "refusal": refusal,
    "runaway": runaway,
    "cut_off": cut_off,
    "malformed": malformed,
    "short": short,
}
