"""The checks of lists and sequences: distinct members, in the form that is asked for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from itertools import pairwise

from .matching import Check, between, lines, marked, plain, separated
from .words import DOUBT, tokens, word_set

_MOST_BEFORE = 12  # words before the colon of a list
_OF_ANOTHER = word_set("unsorted unordered original given input wrongly random before")
_ARTICLE = re.compile(r"(?:an?|the|some)\s+(?=\w)")
_COMMAS = re.compile(r" ?, ?(?:and )?")
_AND = re.compile(r" and ")
_ANY = re.compile(r" ?[,;<>|/] ?(?:and )?| and |[ \u00a0]+")


def listed(check: Check, text: str) -> str | None:
    if "?" in text:
        return "asks"
    rows = lines(text)
    found_items = [marked(line) for line in rows]
    items = [item for item in found_items if item is not None]
    if len(items) != len(found_items):
        return "holds a line that is no item of a list"
    wanted = [str(n + 1) if check["style"] == "numbered" else "" for n in range(len(items))]
    if [number for number, _ in items] != wanted:
        return f"not a {check['style']} list"
    if (marks := check.get("marks")) and any(row[0] not in marks for row in rows):
        return "begins with another mark than was asked for"
    return _chosen(check, [plain(item) for _, item in items])


def comma_separated(check: Check, text: str) -> str | None:
    if "?" in text:
        return "asks"
    if len(lines(text)) != 1:
        return "not on one line"
    if check.get("separator") != "comma":
        return _chosen(check, separated(text))
    items = _between_commas(text)
    return items if isinstance(items, str) else _chosen(check, items)


def _between_commas(text: str) -> list[str] | str:
    """The items between commas, the last one after "and" perhaps; or why there are none."""
    if ";" in text:
        return "not separated by commas"
    if re.search(r"\.\.\.|\u2026|\betc\b", text):
        return "goes on"
    head, colon, tail = text.rpartition(":")
    if colon and (why := _head_denies(head)):
        return why
    pieces = _COMMAS.split(" ".join(tail.split()))
    if len(pieces) > 1 or _AND.search(tail):
        pieces = [part for piece in pieces for part in _AND.split(piece)]
    return [plain(piece) for piece in pieces if plain(piece)]


def _head_denies(head: str) -> str | None:
    if len(head) > _MOST_BEFORE * 20:
        return "too much before the list"
    words = [token for token in tokens(head) if token.word]
    if other := next((word.text for word in words if word.key in _OF_ANOTHER), None):
        return f"is another list: {other!r}"
    if len(words) > _MOST_BEFORE:
        return "too much before the list"
    denial = next((word.text for word in words if word.key in DOUBT | {"i"}), None)
    return f"denies or doubts its list: {denial!r}" if denial else None


def _chosen(check: Check, items: list[str]) -> str | None:
    """None for distinct, accepted items of the right number; else the reason."""
    members = [_member(check, item) for item in items]
    if wrong := [item for item, member in zip(items, members, strict=True) if member is None]:
        return f"not accepted: {', '.join(wrong[:3])}"[:200]
    if len(set(members)) != len(members):
        return "an item twice"
    return between(check, len(items), "items")


def _member(check: Check, item: str) -> str | None:
    """The member that `item` is a form of, or None; an article may stand before it."""
    forms = _forms(check)
    for form in dict.fromkeys((item, _ARTICLE.sub("", item, count=1))):
        if form in forms:
            return forms[form]
        if (head := _head(check, form)) is not None:
            return head
    return None


def _head(check: Check, item: str) -> str | None:
    """ "bus driver" where "driver" is a head: a member of its own."""
    modifier, _, last = item.rpartition(" ")
    words = modifier.split()
    if not 0 < len(words) <= 2 or any(word in DOUBT for word in words):
        return None
    if not all(re.fullmatch(r"[^\W\d_]+(?:-[^\W\d_]+)*", word) for word in words):
        return None
    if "of" in words and words[-1] == "of":
        return item if words[0] in ("pair", "set", "piece") and last in _forms(check) else None
    if modifier in _forms(check) and last in ("tree", "trees"):
        return _forms(check)[modifier]
    return item if last in check.get("heads", ()) else None


def _forms(check: Check) -> Mapping[str, str]:
    """By form, its member; the accepted ones where a check has no `forms`."""
    groups: Iterable[Iterable[str]] = check.get("forms") or [[v] for v in check["accepted"]]
    return {plain(form): plain(next(iter(group))) for group in groups for form in group}


def sequence(check: Check, text: str) -> str | None:
    if "?" in text:
        return "asks"
    rows = lines(text)
    separator = check.get("separator")
    if separator is None:
        items = separated(text) if len(rows) == 1 else [_unmarked(line) for line in rows]
    elif len(rows) > 1:
        if separator == "comma":
            return "not on one line"
        items = [_unmarked(line) for line in rows]
    elif separator == "comma":
        between_commas = _between_commas(text)
        if isinstance(between_commas, str):
            return between_commas
        items = between_commas
    else:
        head, colon, tail = text.rpartition(":")
        if colon and (why := _head_denies(head)):
            return why
        items = [plain(piece) for piece in _ANY.split(" ".join(tail.split())) if plain(piece)]
        if _points_wrong(tail, items):
            return "its signs point the wrong way"
    return None if items == [plain(value) for value in check["values"]] else "not this sequence"


def _points_wrong(tail: str, items: list[str]) -> bool:
    """ "16 > 26": a sign between two numbers that are not so."""
    numbers = [Decimal(item) for item in items if re.fullmatch(r"-?\d{1,15}", item)]
    rising = all(first < second for first, second in pairwise(numbers))
    falling = all(first > second for first, second in pairwise(numbers))
    return (">" in tail and not falling) or ("<" in tail and not rising)


def _unmarked(line: str) -> str:
    item = marked(line)
    return plain(item[1] if item else line)
