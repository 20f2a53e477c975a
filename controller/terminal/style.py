"""Colours of words on a terminal: verdicts anywhere in a line, states as a whole cell."""

from __future__ import annotations

import re

CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
VERDICTS = {
    "PASS": "green",
    "FAIL": "red",
    "WARN": "yellow",
    "INCONCLUSIVE": "yellow",
    "unknown": "yellow",
}
_STATES = {
    "green": "locked passed current running RUNNING armed HIGH ok",
    "cyan": "ready starting STARTING CREATED PROVISIONING hashing environment preflight",
    "yellow": "unknown parked kept stale stale-own EXITED stopped LOW time-up lost stopping",
    "red": (
        "failed criteria refused bad-hosts bad-image no-sshd pod-lost unpulled overdue not-sent "
        "no-capacity ERROR abandoned"
    ),
    "dim": "waiting gone ended closed TERMINATED NONE",
}
STATES = {word: colour for colour, words in _STATES.items() for word in words.split()}


def state_colour(cell: str) -> str:
    """The colour of a cell that is nothing but a state or verdict; empty for any other text."""
    return VERDICTS.get(cell) or STATES.get(cell, "")


def paint(text: str, style: str) -> str:
    """`text` in a colour or weight of `CODES`."""
    return f"\x1b[{CODES[style]}m{text}\x1b[0m"


def paint_verdicts(line: str) -> str:
    """`line` with every verdict in its colour."""
    words = rf"\b({'|'.join(VERDICTS)})\b"
    return re.sub(words, lambda word: paint(word[1], VERDICTS[word[1]]), line)
