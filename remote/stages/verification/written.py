"""The check `written`: form of a free text. It finds refusals, echoes and rows of words.

No rule knows whether a sentence makes sense, so what passes is "form only" and counts in no
headline. What is found here is certain: a sentence does not end on "the", does not say "are is"
and has a verb.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from .clashes import BE, DETERMINERS, MODALS, PAST, PREPOSITIONS, clash
from .instruction_like import reads_as_instruction
from .repetition import monotony
from .sense import senseless
from .word_order import disorder
from .words import Token, markup, stem, tokens, word_set

MAX_CHARACTERS = 5_000
_ECHO = 3  # words in a row of the instruction's frame
_REFUSAL = re.compile(
    r"\b(?:(?:i|we) (?:can ?not|can't|could not|couldn't|am unable to|am not able to|refuse to"
    r"|won't|will not|do not want to|don't want to|would rather not|must decline to)"
    r" (?:\w+ly )?(?:write|use|say|do|make|create|give|answer|describe|ask|help|tell|comply|fulfil|"
    r"complete|provide|form|think|thank(?! you enough)|put|generate|mention|name|respond|reply)\b"
    r"|as an? (?:ai|language model|assistant)\b|language model|i am an ai|i'm an ai)",
    re.IGNORECASE,
)
_NEVER_LAST = (
    DETERMINERS - {"his"} | PREPOSITIONS - {"at", "from", "with", "under", "behind", "of"}
) | word_set("and or but because than as nor if")
_TAKEN_BACK = re.compile(
    r"\W*(?:it (?:is|'s)|that is) (?:wrong|false|untrue|not true|not right|a lie) ", re.IGNORECASE
)
_AUXILIARIES = BE | MODALS | word_set("has have had do does did be been")
_PLAIN = word_set(
    """
go eat see take give write drive begin break bring build buy catch choose draw drink fall feel
find fly forget freeze grow hear hide hold keep know leave lose make meet ride ring run sell send
sing sink sleep speak spend stand steal swim teach tell think throw understand wake wear win sweep
shake tear bend bite blow come become get let put set cut hit lie sit read lead feed dig hang pay
rise shine want need love like enjoy use help look live work play walk talk call try ask seem turn
move hope stop open close carry watch follow wait serve die stay remember learn change visit smile
start bloom taste smell protect believe belong contain cover create deserve explore fill fit
gather guide happen imagine include join laugh listen lift mean offer prefer produce provide reach
remain rest save sound spread support travel trust welcome wish wonder appreciate thank thanks
grant warm bark hunt melt remind relax require shop connect discover graze climb chase shout
whisper dance wander float drift hop crawl jump pick paint plant bake cook wash clean push pull
roll cross fix mend share pass gain swallow attract delight amaze frighten surprise scare please
rule guard shelter surround lean stretch curl nest breed hatch migrate dive soar hover celebrate
brighten fresh treasure swing roar glow
"""
)


def written(check: Mapping[str, Any], text: str) -> str | None:
    """Why `text` is no free text in answer to the instruction; None where no rule objects."""
    if len(text) > MAX_CHARACTERS:
        return "too long for a text of a few sentences"
    if _REFUSAL.search(text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")):
        return "declines"
    if sign := markup(text):
        return f"holds {sign!r}"
    if _TAKEN_BACK.match(text):
        return "is taken back"
    if not check.get("letter") and len([line for line in text.splitlines() if line.strip()]) > 1:
        return "more than one line"
    if word := monotony(text):
        return f"says {word!r} again and again"
    if run := _echo(check, text):
        return f"repeats the instruction: {run!r}"
    if _goes_on(check, text):
        return "goes on into another instruction"
    if check.get("slogan"):
        return next(
            (why for pair in pairwise(tokens(text.casefold())) if (why := clash(*pair))), None
        )
    return _no_sentence(text)


def _words(text: str) -> list[str]:
    return [token.key for token in tokens(text) if token.word or token.number is not None]


def _echo(check: Mapping[str, Any], text: str) -> str | None:
    """Three words in a row of the instruction, one of which speaks of the task; or its beginning.

    What the response is to hold, in quotes or as its topic, stands for itself in any order.
    """
    topics = {stem(word) for topic in check.get("topics", ()) for word in topic.casefold().split()}
    asked, said = _masked(str(check["question"]), topics), _masked(text, topics)
    runs = {tuple(asked[place : place + _ECHO]) for place in range(len(asked) - _ECHO + 1)}
    for place in range(len(said) - _ECHO + 1):
        run = tuple(said[place : place + _ECHO])
        if run in runs and any(stem(word) in _FRAME_WORDS for word in run):
            return " ".join(run)
    if said[:1] == asked[:1] and said[0] in _IMPERATIVES:
        return None if said[1:2] and said[1] in ("you", "goodness", "god") else said[0]
    return None


def _masked(text: str, topics: set[str]) -> list[str]:
    """The words of `text`, each topic as an asterisk."""
    return ["*" if stem(word) in topics else word for word in _words(text)]


_IMPERATIVES = word_set("write use make describe tell thank reply answer ask list name")
_FRAME_WORDS = word_set(
    """
sentence word write use make up single both without avoid forbidden describe tell something
exactly note thank question answer reply begin slogan capital letter ask child lending
"""
)


def _goes_on(check: Mapping[str, Any], text: str) -> bool:
    """A later sentence that asks for something else, where no question is asked for."""
    if check.get("question_form"):
        return False
    later = re.split(r"(?<=[.!?])\s+|\n+", text)[1:]
    return any(
        reads_as_instruction(sentence)
        and (not check.get("letter") or sentence.split(" ")[0].casefold() in _TASKS)
        for sentence in later
    )


_TASKS = word_set(
    """
answer write reply thank describe translate calculate name list give convert spell sort put
complete fill count round extract replace classify
"""
)


def _no_sentence(text: str) -> str | None:
    """Why one of the sentences of `text` is a row of words; or None."""
    for sentence in re.split(r"(?<=[.!?])\s+|\n+", text):
        found = tokens(sentence)
        words = [token.key for token in found if token.word or token.number is not None]
        if len(words) < 4:
            continue  # "Sorry!", a signature
        if words[-1] in _NEVER_LAST:
            return f"ends on {words[-1]!r}"
        if why := disorder(found, asks=sentence.endswith("?")):
            return why
        if not _has_verb([token for token in found if token.word or token.number is not None]):
            return "has no verb"
        if why := senseless(found):
            return why
    return None


def _has_verb(found: Sequence[Token]) -> bool:
    words = [token.key for token in found]
    return any(
        word in _AUXILIARIES
        or ((word in PAST or word in _PLAIN) and words[place - 1] not in DETERMINERS)
        or (not (place and found[place].text[0].isupper()) and _inflected(word, place, words))
        for place, word in enumerate(words)
    )


def _inflected(word: str, place: int, words: Sequence[str]) -> bool:
    """ "walked", "turns": not the first word, and not after a determiner."""
    if place == 0:
        return False
    before = words[place - 1]
    if len(word) > 4 and word.endswith("ed"):
        return before not in DETERMINERS
    return (
        len(word) > 3
        and word.endswith("s")
        and not word.endswith("ss")
        and before not in DETERMINERS | PREPOSITIONS | {"and", "or", "in", "on", "no", "two"}
    )
