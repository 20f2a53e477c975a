"""Pairs of words that never stand together in an English sentence."""

from __future__ import annotations

from .words import Token, word_set

DETERMINERS = word_set("the a an my your his its our their every")
PREPOSITIONS = word_set("of at from into onto with between among beside under behind")
BE = word_set("is are was were am")
MODALS = word_set("can could will would shall should must may might")
PAST = word_set(
    """
went ate saw took gave wrote drove began broke brought built bought caught chose drew drank fell
felt found flew forgot froze grew heard hid held kept knew left lost made met rode rang ran sold
sent sang sank slept spoke spent stood stole swam taught told thought threw understood woke wore
won swept shook tore bent bit blew came became got let put set cut hit hurt shut spread lay sat
read led fed dug hung lit paid rose shone shot sprang struck swore swung wound said meant dealt
laid cost burst split cast fought sought crept leapt dreamt learnt burnt spilt spoilt
"""
)
_PRONOUNS = word_set("we he she they us them me him who")
_COLOURS = word_set("blue red green yellow purple")
_CONJUNCTIONS = word_set("whether if because although than nor whose")
_TWICE = word_set("of the a an is are to and in it as")


def clash(first: Token, second: Token) -> str | None:
    """What two neighbouring words are where no sentence has them so; or None."""
    if any(token.text[:1].isupper() and token.key in ("may", "will") for token in (first, second)):
        return None  # a month, a name
    clashes = _determiner(first.key, second) or _verb(first.key, second.key)
    clashes = clashes or _preposition(first.key, second.key) or _number(first, second)
    if clashes or (first.key == second.key and first.key in _TWICE):
        return f"says {first.text} {second.text}"
    return None


def _determiner(one: str, second: Token) -> bool:
    if one in _COLOURS:
        return second.key in _PRONOUNS
    if one not in DETERMINERS or second.text[:1].isupper():
        return False
    barred = (
        DETERMINERS | PREPOSITIONS | BE | _PRONOUNS | {"and", "or", "but", "never"} | _CONJUNCTIONS
    )
    return second.key in barred and not (one == "a" and second.key == "a")


def _verb(one: str, two: str) -> bool:
    if one in BE:
        return two in BE | MODALS | {"has", "have", "had", "does", "go", "goes"}
    if one == "very":
        return two in DETERMINERS | PREPOSITIONS | BE
    if one == "never":
        return two == "of"
    return one in MODALS and two in BE | MODALS


def _preposition(one: str, two: str) -> bool:
    if one in ("and", "or"):
        return two in ("and", "or", "of")
    if one == "who":
        return two == "of"
    if one == "of" and two in PAST - {
        "lost",
        "made",
        "said",
        "hidden",
        "cut",
        "read",
        "felt",
        "lead",
    }:
        return True
    barred = {"of", "and", "or", "is", "are", "never", "will", "be"}
    return one in PREPOSITIONS - {"from", "with", "behind", "under"} and two in barred


def _number(first: Token, second: Token) -> bool:
    return first.spoken and second.key in ("the", "a", "an", "never")
