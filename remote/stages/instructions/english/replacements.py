"""Words that a template has to draw again, so that what it says makes sense."""

from __future__ import annotations

from .word_lists import word_list

_LISTS = word_list("replacements")
# By sentence, the word that is replaced in it and its replacement.
REPLACED: dict[str, tuple[str, str]] = {
    sentence: (old, new) for sentence, (old, new) in _LISTS["replaced"].items()
}
# What nobody lends, gives or loses, with what stands for it in notes and replies.
LENT: dict[str, str] = _LISTS["lent"]
