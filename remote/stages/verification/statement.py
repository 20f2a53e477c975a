"""The check `states`: whether a response states a value, and nothing that speaks against it.

A value that merely occurs is no statement: "It is not Kigali", "Kigali or Butare" and "Qatar is
the capital of Doha" hold it too. A statement is one line without a word of denial or doubt that
the instruction does not have itself, and at one place the value stands

    after nothing but words of the instruction, of its canonical answer or neutral ones, the last
    of which leads to a value ("is", ":", or what stands there in the canonical answer), and
    before the end, a unit, a reason ("because ..."), or again such words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from .equations import false_sum
from .instruction_like import reads_as_instruction
from .measures import mismatched
from .statement_frame import HOURS, Frame, Key, doubt, frame_of, same
from .statement_lead import BELONGING, COPULAS, MARKS, explained_words, is_known, leads
from .verbatim import in_its_order
from .word_order import disorder
from .words import REASONS, Token, markup, stem, tokens, word_set

MAX_WORDS = 40  # of a statement, unless the check says otherwise
_MOST_TIMES = 2  # that the value may be said
MAX_CHARACTERS = 1_000
# "The city of Doha is its capital": what may stand before a value that is a subject.
_NAMING = BELONGING | word_set(
    "the a an of these them all , numbers number letter symbol answer term form"
)
_ASKING = word_set("what which who whose where when why how does do did")
_ORDERS = word_set(
    """
find name give count calculate convert express add multiply take wait eat ask use complete finish
put fill tell show write read go come call choose guess
"""
)
_NO_MORE = [["is"], ["is", "."], ["does"], ["does", "."]]  # "Kigali is."
# ", and its number is 30": a further fact about the value.
_FURTHER = [["and", word] for word in ("it", "its", "this", "that")]
# Opens a sentence about the value.
_OPENS = word_set("it this that these they the its there each because since so you")
# May follow a value that ends its clause.
_AFTER = word_set("for from in then now altogether together left remaining after later alone")


def states(check: Mapping[str, Any], text: str) -> str | None:
    """Why `text` does not state one of the values of `check`; None where it does."""
    if len(text) > MAX_CHARACTERS:
        return "too long for a statement"
    if any(_bare(text) == _bare(whole) for whole in check.get("wholes", ())):
        return None
    if why := unfit(text):
        return why
    found = tokens(HOURS.sub(r"\1:\2", text) if check.get("clock") else text)
    frame = frame_of(Key(check))
    if why := _contradiction(check, found, frame):
        return why
    places = sorted(set(_places(check, frame, found)))
    if places and not places[0][0] and [t.key for t in found[places[0][1] :]] in _NO_MORE:
        return None
    if len(places) > _MOST_TIMES:
        return "says the same again and again"
    if any(_stated(check, frame, found, place, end) for place, end in places):
        return None
    return f"does not state {check['values'][0]!r}"


def unfit(text: str) -> str | None:
    """Why `text` cannot be one statement, whatever it says; or None."""
    if len(text) > MAX_CHARACTERS:
        return "too long for a statement"
    rows = [line for line in text.splitlines() if line.strip()]
    if len(rows) > 1 and not (len(rows) == 2 and rows[0].rstrip().endswith(":")):
        return "more than one line"
    if "?" in text or "\u00bf" in text:
        return "asks"
    if sign := markup(text):
        return f"holds {sign!r}"
    sentences = text.replace("!", ".").split(". ")
    if any(reads_as_instruction(sentence) for sentence in sentences[1:]):
        return "goes on into another instruction"
    return None


def _bare(text: str) -> tuple[str, ...]:
    return tuple(token.key for token in tokens(text) if token.text not in MARKS)


def _places(
    check: Mapping[str, Any], frame: Frame, found: Sequence[Token]
) -> list[tuple[int, int]]:
    """(start, end) of each occurrence of a value in `found`."""
    case, digits = bool(check.get("case")), bool(check.get("digits"))
    return [
        (place, place + len(value))
        for value in frame.values
        for place in range(len(found) - len(value) + 1)
        if same(found[place : place + len(value)], value, case)
        and not (digits and any(token.spoken for token in found[place : place + len(value)]))
    ]


def _contradiction(check: Mapping[str, Any], found: Sequence[Token], frame: Frame) -> str | None:
    """Why `found` speaks against its own value: doubt, a rival, a sum that is false; or None."""
    if len(found) > int(check.get("most", MAX_WORDS)) * 2:
        return "too long for a statement"
    if why := _asks(found, frame):
        return why
    if word := doubt(found, frame.doubts):
        return f"doubts or denies: {word!r}"
    if rival := _rival(check, found):
        return f"names {rival!r} too"
    if why := mismatched(check, found):
        return why
    if wrong := false_sum(found) if check.get("sums", True) else None:
        return f"is false: {wrong}"
    return None


def _asks(found: Sequence[Token], frame: Frame) -> str | None:
    """A statement begins with no question word and no order, unless the canonical answer does."""
    if not found or (frame.answer and frame.answer[0].key == found[0].key):
        return None
    ordered = found[0].key in _ORDERS and len(found) > 1 and found[1].text != ":"
    return "asks" if ordered or found[0].key in _ASKING else None


def _rival(check: Mapping[str, Any], found: Sequence[Token]) -> str | None:
    """Another value of the same kind; "whereas silver is Ag" may name one."""
    cut = next((n for n, token in enumerate(found) if token.key in ("whereas", "while")), None)
    part = found if cut is None or not check.get("contrast") else found[:cut]
    case = bool(check.get("case"))
    for rival in check.get("rivals", ()):
        words = _rival_tokens(rival)
        for place in range(len(part) - len(words) + 1):
            if same(part[place : place + len(words)], words, case):
                return str(rival)
    if check.get("clock"):
        times = {value.lstrip("0") for value in (*check["values"], *check.get("times", ()))}
        return next((t.text for t in found if t.time and t.key not in times), None)
    return None


@lru_cache(maxsize=8192)
def _rival_tokens(rival: str) -> tuple[Token, ...]:
    return tuple(tokens(rival))


def _stated(
    check: Mapping[str, Any], frame: Frame, found: Sequence[Token], start: int, end: int
) -> bool:
    before, after = list(found[:start]), list(found[end:])
    if disorder(found, (start, end)) or not in_its_order(check, frame, before, after):
        return False
    if any(word.key in check.get("others", ()) for word in _noun_before(before)):
        return False
    return leads(check, frame, before, found, start) and _ends(check, frame, before, after)


def _noun_before(before: Sequence[Token]) -> Sequence[Token]:
    """The word before the ":" or verb that leads to the value: "Country: Doha"."""
    return before[-2:-1] if before and before[-1].key in COPULAS | {":"} else ()


def _ends(
    check: Mapping[str, Any],
    frame: Frame,
    before: Sequence[Token],
    after: Sequence[Token],
) -> bool:
    """Whether what follows the value is its end, its unit, a reason, or known words."""
    rest = list(after)
    units = {stem(unit) for unit in check.get("units", ())}
    while rest and rest[0].word and stem(rest[0].key) in units:
        rest.pop(0)
    ended = False
    while rest and rest[0].text in (".", "!", ")"):
        ended |= rest.pop(0).text != ")"
    if not rest:
        return True
    if ended and rest[0].key not in _OPENS:
        return False
    if rest[0].key in check.get("followers", ()):
        return _clause_is_known(check, frame, rest)
    if check.get("last"):
        return False
    if rest[0].text in MARKS and len(rest) > 1 and rest[1].key in REASONS:
        return _reason_is_sound(rest[1:])
    if rest[0].text in MARKS and [token.key for token in rest[1:3]] in _FURTHER:
        return _reason_is_sound(rest[1:])
    if check.get("containers") and _place_beside(rest):
        return True
    if rest[0].key in REASONS - {"for", "from"}:
        return _reason_is_sound(rest)
    if rest[0].word and rest[0].key in COPULAS | {"comes", "follows"}:
        opens = all(word.key in _NAMING for word in before) or before[-1].text in (":", ".")
        rest[0:1] = [] if opens and check.get("first", True) else [Token("?", "?")]
        if rest and rest[0].key in check.get("containers", ()):
            return False
    elif not (rest[0].text in MARKS or rest[0].key in _AFTER or rest[0].key in frame.after):
        return False
    return _clause_is_known(check, frame, rest)


def _place_beside(rest: Sequence[Token]) -> bool:
    """ ", on the Danube": a place by its name, which no rival is."""
    words = [token for token in rest[1:] if token.text != "."]
    return (
        rest[0].text == ","
        and [token.key for token in words[:2]] in (["on", "the"], ["in", "the"], ["by", "the"])
        and 2 < len(words) <= 5
        and all(token.text[:1].isupper() for token in words[2:])
    )


def _clause_is_known(check: Mapping[str, Any], frame: Frame, rest: Sequence[Token]) -> bool:
    """Known words only, up to a reason; after a mark no second value may stand alone."""
    explained = explained_words(rest)
    numbers = [place for place, token in enumerate(rest) if token.number is not None]
    if check.get("alone") and not all(explained[place] for place in numbers):
        return False  # "46 apples in one box and 4 in another"
    for place, token in enumerate(rest):
        if place and token.key in REASONS - {"from", "for", "when", "where", "so"}:
            return _reason_is_sound(rest[place:])
        if not is_known(frame, rest, place, explained):
            return False
    listed = rest[0].text in (",", "-", ";", "(") and len(rest) > 1
    if not any(value[0].number is not None or value[0].time for value in frame.values):
        return True  # "November, 3 months after August"
    return not (listed and (rest[1].number is not None or rest[1].time))


def _reason_is_sound(rest: Sequence[Token]) -> bool:
    """A reason may say anything that is neither doubt nor a rival, of 25 words at most."""
    return 2 < len(rest) <= 26 or (len(rest) == 2 and rest[0].key == "from")
