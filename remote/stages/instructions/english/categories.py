"""Members of categories, with their synonyms and plurals as one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from .vocabulary import PLURALS
from .word_lists import word_list

CATEGORIES: dict[str, tuple[str, ...]] = {
    name: tuple(members) for name, members in word_list("categories").items()
}
_FORMS = word_list("category_forms")
_ALSO: dict[str, tuple[str, ...]] = {
    name: tuple(members) for name, members in _FORMS["also"].items()
}
_SYNONYMS: tuple[frozenset[str], ...] = tuple(map(frozenset, _FORMS["synonyms"]))
_HEADS: dict[str, tuple[str, ...]] = {name: tuple(heads) for name, heads in _FORMS["heads"].items()}
_PLURALS_IN_ES = ("potato", "tomato", "mango", "buffalo")

Member = tuple[str, ...]  # every form of one member, the first one as it is listed


@cache
def members_of(name: str) -> tuple[Member, ...]:
    """The members of category `name`, each with its synonyms, in the singular and the plural."""
    words = tuple(dict.fromkeys((*CATEGORIES[name], *_ALSO.get(name, ()))))
    groups: dict[str, list[str]] = {}
    for word in words:
        groups.setdefault(_same(name, word, words), []).append(word)
    return tuple(
        tuple(dict.fromkeys(form for word in group for form in (word, *_plurals(word))))
        for group in groups.values()
    )


def heads_of(name: str) -> tuple[str, ...]:
    """Nouns that make a member of category `name` with any word before them: "bus driver"."""
    return _HEADS.get(name, ())


def distinct_members(name: str, chosen: Sequence[str], count: int) -> list[str]:
    """The first `count` of `chosen` no two of which are the same member in other words."""
    different: dict[int, str] = {}
    for word in chosen:
        place = next(n for n, member in enumerate(members_of(name)) if word in member)
        different.setdefault(place, word)
    return list(different.values())[:count]


def _same(name: str, word: str, words: Sequence[str]) -> str:
    """The first of `words` that means what `word` does: a plural's singular, or a synonym."""
    for other in words:
        if other == word or word in _plurals(other):
            return other
        if any({word, other} <= group for group in _SYNONYMS):
            return other
        if name == "oceans" and word == f"{other} Ocean":
            return other
    return word


def _plurals(word: str) -> tuple[str, ...]:
    first, _, last = word.rpartition(" ")
    plural = PLURALS.get(last) or _FORMS["plurals"].get(last) or _plural(last)
    return (f"{first} {plural}".strip(),)


def _plural(word: str) -> str:
    if word.endswith(("s", "x", "ch", "sh")):
        return f"{word}es"
    if word.endswith("y") and word[-2] not in "aeiou":
        return f"{word[:-1]}ies"
    return f"{word}es" if word in _PLURALS_IN_ES else f"{word}s"
