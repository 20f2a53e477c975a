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
from itertools import pairwise
from typing import Any

from .clashes import clash
from .equations import false_sum, operator, sums
from .instruction_like import reads_as_instruction
from .statement_frame import HOURS, Frame, Key, doubt, frame_of, same
from .words import REASONS, Token, markup, stem, tokens, word_set

MAX_WORDS = 40  # of a statement, unless the check says otherwise
_MOST_TIMES = 2  # that the value may be said
MAX_CHARACTERS = 1_000
_MARKS = frozenset(",;:.!()-\u2013\u2014'")
_COPULAS = word_set("is are = equals equal be")
_LEADING = _COPULAS | word_set(
    """
: - \u2013 \u2014 comes called named means gives makes yields becomes reads spelled written says
say has have get gets then exactly next answer result sum
"""
)
# "The capital of Doha", "after Sunday": what follows these is what the value belongs to.
_BACKWARDS = word_set(
    "of after minus than before from by plus times and with over per between until since"
)
# "The continent of Africa": what is before "of" is the value itself.
_BELONGING = word_set("continent city month day name word region part")
# Opens a sentence about the value.
_OPENS = word_set("it this that these they the its there each because since so you")
# May follow a value that ends its clause.
_AFTER = word_set("in then now altogether together left remaining after later alone")


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
    return tuple(token.key for token in tokens(text) if token.text not in _MARKS)


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
    if word := doubt(found, frame.doubts):
        return f"doubts or denies: {word!r}"
    if rival := _rival(check, found):
        return f"names {rival!r} too"
    clashes = (clash(first, second) for first, second in pairwise(found))
    if why := next((why for why in clashes if why), None):
        return why
    if wrong := false_sum(found) if check.get("sums", True) else None:
        return f"is false: {wrong}"
    return None


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
    return _leads(check, frame, before, found, start) and _ends(check, frame, before, after)


def _known(frame: Frame, found: Sequence[Token], place: int, explained: Sequence[bool]) -> bool:
    token = found[place]
    if token.number is not None:
        return token.number in frame.numbers or explained[place]
    if token.time:
        return True  # other times are rivals
    if not token.word:
        return token.text in _MARKS or token.text == "=" or bool(operator(token))
    if explained[place] or token.key in frame.known or stem(token.key) in frame.known:
        return True
    letters = token.key.replace("-", "")
    return "-" in token.key and (
        letters in frame.known or all(stem(part) in frame.known for part in token.key.split("-"))
    )


def _explained(found: Sequence[Token]) -> list[bool]:
    """For each word whether it is part of a sum that is true."""
    inside = [False] * len(found)
    for first, last, right in sums(found):
        if right:
            inside[first : last + 1] = [True] * (last + 1 - first)
    return inside


def _leads(
    check: Mapping[str, Any],
    frame: Frame,
    before: Sequence[Token],
    found: Sequence[Token],
    start: int,
) -> bool:
    """Whether nothing but known words stands before the value, and the last one leads to it."""
    explained = _explained(found)
    if not all(_known(frame, found, place, explained) for place in range(start)):
        return False
    words = list(before)
    articles = ("exactly", "(", *check.get("articles", ()))
    while words and words[-1].key in articles:
        words.pop()
    if not words:
        return True
    last = words[-1]
    if last.key in frame.before or last.key in check.get("links", ()):
        return not _subject_alone(check, words)
    if last.key in _BACKWARDS:
        return last.key == "of" and len(words) > 1 and words[-2].key in _BELONGING
    if last.key == "to" and len(words) > 1 and words[-2].key in ("equal", "amounts", "converts"):
        return True
    if last.text == ".":
        return len(words) > 2
    if last.key in _LEADING or operator(last):
        return not _subject_alone(check, words)
    return last.key in check.get("nouns", ())


def _subject_alone(check: Mapping[str, Any], words: Sequence[Token]) -> bool:
    """ "Rwanda is Kigali", "663 is 186": what is asked about is not the value itself."""
    if len(words) == 2 and words[0].number is not None and words[1].key in ("has", "have"):
        return True
    if words[-1].key not in _COPULAS or len(words) < 2:
        return False
    subject = words[-2]
    if subject.number is not None and not subject.spoken:
        return sum(word.number is not None for word in words) == 1
    return any(subject.key == tokens(name)[-1].key for name in check.get("apart", ())) and not any(
        word.key in check.get("nouns", ()) for word in words
    )


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
        return _clause_is_known(frame, rest)
    if check.get("last"):
        return False
    if rest[0].text in _MARKS and len(rest) > 1 and rest[1].key in REASONS:
        return _reason_is_sound(rest[1:])
    if rest[0].key in REASONS:
        return _reason_is_sound(rest)
    if rest[0].word and rest[0].key in _COPULAS | {"comes", "follows"}:
        opens = not before or before[-1].text in (":", ".")
        rest[0:1] = [] if opens and check.get("first", True) else [Token("?", "?")]
        if rest and rest[0].key in check.get("containers", ()):
            return False
    elif not (rest[0].text in _MARKS or rest[0].key in _AFTER or rest[0].key in frame.after):
        return False
    return _clause_is_known(frame, rest)


def _clause_is_known(frame: Frame, rest: Sequence[Token]) -> bool:
    """Known words only, up to a reason; after a mark no second value may stand alone."""
    explained = _explained(rest)
    for place, token in enumerate(rest):
        if place and token.key in REASONS - {"from", "for", "when", "where", "so"}:
            return _reason_is_sound(rest[place:])
        if not _known(frame, rest, place, explained):
            return False
    listed = rest[0].text in (",", "-", ";", "(") and len(rest) > 1
    return not (listed and (rest[1].number is not None or rest[1].time))


def _reason_is_sound(rest: Sequence[Token]) -> bool:
    """A reason may say anything that is neither doubt nor a rival, of 25 words at most."""
    return 2 < len(rest) <= 26 or (len(rest) == 2 and rest[0].key == "from")
