"""What people call GPU types, CPU flavors and data centers, and which of the catalog they mean.

Pure. A word means the entry that has it as id or short name; else every entry whose words have it:
"H100" is all kinds of H100, "4090" the RTX 4090. Case, blanks and the vendor's name do not count.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Protocol

_VENDOR = {"nvidia", "geforce"}
_SIZE = re.compile(r"\d+gb?")  # memory, which names no type
_SLICE = "mig"  # a part of a GPU: only who names it gets one
MOST_NEAR = 4


class HardwareName(Protocol):
    """Anything of the catalog that has an id and a name for people."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...


def meant(word: str, entries: Sequence[HardwareName]) -> tuple[str, ...]:
    """The ids that `word` means, in the order of `entries`; none where it is unknown."""
    wanted = _key(word)
    if not wanted:
        return ()
    exact = [entry.id for entry in entries if wanted in (_key(entry.id), _key(entry.name))]
    if exact:
        return tuple(dict.fromkeys(exact))
    words = _words(word)
    if not any(_tells(word) for word in words):
        return ()  # "RTX" or "80GB" alone tells no type from another
    return tuple(dict.fromkeys(entry.id for entry in entries if _has(entry, words)))


def all_meant(words: Iterable[str], entries: Sequence[HardwareName]) -> frozenset[str]:
    """The ids that any of `words` means."""
    return frozenset(id_ for word in words for id_ in meant(word, entries))


def near(word: str, entries: Sequence[HardwareName]) -> tuple[str, ...]:
    """Ids that look like `word`, the likeliest first."""
    ids = {key: entry.id for entry in entries for key in (_key(entry.name), _key(entry.id)) if key}
    found = difflib.get_close_matches(_key(word), list(ids), n=2 * MOST_NEAR, cutoff=0.5)
    return tuple(dict.fromkeys(ids[key] for key in found))[:MOST_NEAR]


def data_center(text: str) -> str:
    """A data center's id as the provider spells it: in capitals, without blanks around."""
    return "-".join(text.strip().upper().replace("_", "-").split())


def _tells(word: str) -> bool:
    return any(letter.isdigit() for letter in word) and not _SIZE.fullmatch(word)


def _has(entry: HardwareName, words: set[str]) -> bool:
    for text in (entry.id, entry.name):
        own = _words(text)
        if words <= own and (_SLICE in words or _SLICE not in own):
            return True
    return False


def _words(text: str) -> set[str]:
    return set(re.findall(r"[a-z0-9]+", text.casefold())) - _VENDOR


def _key(text: str) -> str:
    """Without case, blanks, signs and the vendor's name."""
    return "".join(
        word for word in re.findall(r"[a-z0-9]+", text.casefold()) if word not in _VENDOR
    )
