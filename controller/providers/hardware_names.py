"""Resolves short names of GPU types, CPU flavors and data centers to catalog ids. Pure.

A name matches the entry with that id or short name, or else every entry whose name contains its
words: "H100" is all kinds of H100, "4090" the RTX 4090. Case, blanks and the vendor do not count.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Protocol

_VENDOR = {"nvidia", "geforce"}
_SIZE = re.compile(r"\d+gb?")  # a memory size, which identifies no type
_SLICE = "mig"  # a part of a GPU: matched only if named
MAX_SUGGESTIONS = 4


class HardwareName(Protocol):
    """A catalog entry with an id and a display name."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...


def matching_ids(word: str, entries: Sequence[HardwareName]) -> tuple[str, ...]:
    """The ids that `word` matches, in the order of `entries`; empty if it is unknown."""
    key = _key(word)
    if not key:
        return ()
    exact = [entry.id for entry in entries if key in (_key(entry.id), _key(entry.name))]
    if exact:
        return tuple(dict.fromkeys(exact))
    words = _words(word)
    if not any(_identifies_type(word) for word in words):
        return ()  # "RTX" or "80GB" alone identifies no type
    return tuple(dict.fromkeys(entry.id for entry in entries if _has(entry, words)))


def all_matching_ids(words: Iterable[str], entries: Sequence[HardwareName]) -> frozenset[str]:
    """The ids that any of `words` matches."""
    return frozenset(entry_id for word in words for entry_id in matching_ids(word, entries))


def suggestions(word: str, entries: Sequence[HardwareName]) -> tuple[str, ...]:
    """Ids that are similar to `word`, the best match first."""
    ids = {key: entry.id for entry in entries for key in (_key(entry.name), _key(entry.id)) if key}
    matches = difflib.get_close_matches(_key(word), list(ids), n=2 * MAX_SUGGESTIONS, cutoff=0.5)
    return tuple(dict.fromkeys(ids[key] for key in matches))[:MAX_SUGGESTIONS]


def data_center(text: str) -> str:
    """A data center's id as the provider spells it: in capitals, without surrounding blanks."""
    return "-".join(text.strip().upper().replace("_", "-").split())


def _identifies_type(word: str) -> bool:
    return any(letter.isdigit() for letter in word) and not _SIZE.fullmatch(word)


def _has(entry: HardwareName, words: set[str]) -> bool:
    for text in (entry.id, entry.name):
        entry_words = _words(text)
        if words <= entry_words and (_SLICE in words or _SLICE not in entry_words):
            return True
    return False


def _words(text: str) -> set[str]:
    return set(re.findall(r"[a-z0-9]+", text.casefold())) - _VENDOR


def _key(text: str) -> str:
    """`text` without case, blanks, punctuation and the vendor's name."""
    return "".join(
        word for word in re.findall(r"[a-z0-9]+", text.casefold()) if word not in _VENDOR
    )
