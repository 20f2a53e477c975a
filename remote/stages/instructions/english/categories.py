"""Members of categories, as complete as a list of three to five needs them to be."""

from __future__ import annotations

from .word_lists import word_list

CATEGORIES: dict[str, tuple[str, ...]] = {
    name: tuple(members) for name, members in word_list("categories").items()
}
_PLURALS_IN_ES = ("potato", "tomato", "mango", "buffalo")


def accepted(name: str) -> tuple[str, ...]:
    """The members of category `name`, each in the singular and the plural."""
    members = CATEGORIES[name]
    return (*members, *(_plural(member) for member in members))


def _plural(word: str) -> str:
    if word.endswith(("s", "x", "ch", "sh")):
        return f"{word}es"
    if word.endswith("y") and word[-2] not in "aeiou":
        return f"{word[:-1]}ies"
    return f"{word}es" if word in _PLURALS_IN_ES else f"{word}s"
