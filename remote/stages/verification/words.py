"""Divides a response into words, numbers and signs, and knows the words that add nothing to it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from .number_words import NumberWord, spoken_number

_QUOTES = str.maketrans(
    {"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2212": "-", "\u2026": "..."}
)
_CLITIC = re.compile(r"\b(it|that|this|there|here|what|he|she|they|you|we)'(?:s|re)\b", re.I)
_TOKEN = re.compile(
    r"(?<![\w.:])\d{1,2}:\d\d(?![\w:])"
    r"|(?<![\w.])[+-]?\d{1,3}(?:[, \u00a0\u202f]\d{3})+(?!\d)(?:\.\d+)?(?!\w)"
    r"|(?<![\w.])[+-]?\d{1,30}(?:\.\d{1,30})?(?!\w)"
    r"|[^\W_]+(?:[-'@.][^\W_]+)*"
    r"|\S"
)
_TIME = re.compile(r"\d{1,2}:\d\d")
_NUMBER = re.compile(r"[+-]?[\d, \u00a0\u202f]*\d(?:\.\d+)?")


def word_set(text: str) -> frozenset[str]:
    """The words of `text`, which blanks and line breaks divide."""
    return frozenset(text.split())


NEUTRAL = word_set(
    """
a an the this that these those it its they he she you your his her their is are be will would
been being have has so then thus hence therefore here there now and of in on at to for as by
with into answer answers result solution total altogether sum value correct right final exact
exactly simply just also both all each one following next therefore course sure certainly indeed
fact okay ok well called named known spelled spelt written said word words name sentence text
number form term blank gap phrase question means meaning equals equal makes make gives give get
gets comes come goes becomes reads read becomes would yields complete completed whole full again
above below list same they them our up down want wanted need needed looking asked ask goes
add adds way still exactly precisely naturally clearly obviously besides first finally ends end
say says said call calls we us let
"""
)
DOUBT = word_set(
    """
not no never neither nor none nowhere nothing nobody without hardly scarcely cannot wrong false
falsely incorrect incorrectly untrue mistaken mistake error lie lying lied fake joke joking
kidding nonsense unable sorry refuse refuses decline declines afraid impossible or either
whether maybe perhaps might could should possibly probably likely unlikely guess guesses
guessing think thinks thought believe believes suppose supposedly assume assuming allegedly
apparently seems seem roughly approximately approx almost nearly around about circa unsure
uncertain doubt doubts doubtful but although though however except unless instead rather
anything everything something anyone lack lacks lacking deny denies denied disagree opposite
contrary pretend nope nah dunno know unknown unclear fail fails failed hate excluding besides
different alternatively ai un im cant wont dont isnt arent doesnt wasnt aint unlike
"""
)
REASONS = word_set("because since as which whereas while so for from that when where")


@dataclass(frozen=True)
class Token:
    """`text` as written, `key` to compare by; `number` or `time` where it is one."""

    text: str
    key: str
    number: Decimal | None = None
    time: bool = False
    spoken: bool = False  # a number written in words

    @property
    def word(self) -> bool:
        return self.number is None and not self.time and self.text[0].isalnum()


def tidy(text: str) -> str:
    """`text` with plain quotes, without emphasis, with single blanks and no contractions."""
    text = unicodedata.normalize("NFC", text).translate(_QUOTES)
    text = re.sub(r"(?<![\w*])(\*{1,3}|_{2,3}|`)(?=\S)(.+?)(?<=\S)\1(?![\w*])", r"\2", text)
    text = re.sub(r"\bcan(?:not|'t)\b", "can not", text, flags=re.IGNORECASE)
    text = re.sub(r"\bwon't\b", "will not", text, flags=re.IGNORECASE)
    text = re.sub(r"n't\b", " not", text, flags=re.IGNORECASE)
    text = re.sub(r"\bI'(?:m|ve|ll|d)\b", "I", text)
    text = re.sub(r"'ll\b", " will", text)
    text = re.sub(r"\bmy ((?:final )?answer)\b", r"the \1", text, flags=re.IGNORECASE)
    text = _CLITIC.sub(r"\1 is", text)
    return " ".join(text.split())


def tokens(text: str) -> list[Token]:
    """The words, numbers and signs of `text`; quotes are left out, numbers in words are one."""
    parts = [
        part
        for match in _TOKEN.finditer(tidy(text))
        for part in _parts(match[0])
        if part not in ('"', "'")
    ]
    return _with_spoken(parts)


def _parts(part: str) -> Iterable[str]:
    """ "a.m" is one word, "Africa.Asia" is not known as one; "Rwanda's" is "Rwanda"."""
    return (re.sub(r"'s?$", "", part),) if len(part) > 1 else (part,)


def _with_spoken(parts: Sequence[str]) -> list[Token]:
    tokens_: list[Token] = []
    place = 0
    while place < len(parts):
        spoken: NumberWord | None = spoken_number(parts, place)
        if spoken is not None:
            text = " ".join(parts[place : spoken.end])
            tokens_.append(Token(text, text.casefold(), Decimal(spoken.value), spoken=True))
            place = spoken.end
            continue
        tokens_.append(_token(parts[place]))
        place += 1
    return tokens_


def _token(part: str) -> Token:
    if _TIME.fullmatch(part):
        return Token(part, part.lstrip("0") if part[0] == "0" else part, time=True)
    if _NUMBER.fullmatch(part):
        number = Decimal(re.sub(r"[, \u00a0\u202f]", "", part))
        return Token(part, str(number), number)
    return Token(part, part.casefold())


def stem(word: str) -> str:
    """`word` in lower case without a plural's or a third person's ending."""
    word = word.casefold()
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("ches", "shes", "sses", "xes")):
        return word[:-2]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def stems(texts: Iterable[str]) -> frozenset[str]:
    """The stems of all words of `texts`."""
    return frozenset(stem(token.key) for text in texts for token in tokens(text) if token.word)


def markup(text: str) -> str | None:
    """A sign of HTML, code, a heading, a link or a formula in `text`, or None."""
    found = re.search(r"<[^>\s]|[#\uff03|{}\\~^]|```|https?:|www\.|\$\w|&\w+;|\[|\]", text)
    return found[0] if found else None
